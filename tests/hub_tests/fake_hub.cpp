#include "fake_hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "hub/content_id.h"
#include "platform/file.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {

namespace fs = std::filesystem;

std::string some_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t value = 1;
  for (char& byte : bytes) byte = static_cast<char>((value = value * 1664525 + 1013904223) >> 24);
  return bytes;
}

namespace {

std::string id_of(const std::string& contents, bool lfs) {
  const TemporaryFolder folder;
  write_file(folder / "contents", contents);
  return hub::content_id(File::open(folder / "contents"),
                         lfs ? hub::ContentHash::sha256 : hub::ContentHash::git_blob, {});
}

std::string unescape(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '%') {
      plain += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      plain += text[i];
    }
  return plain;
}

}  // namespace

Json listed(const std::string& name, const std::string& contents, bool lfs) {
  Json file = {{"rfilename", name}, {"size", contents.size()}, {"blobId", id_of(contents, false)}};
  if (lfs) file["lfs"] = {{"sha256", id_of(contents, true)}, {"size", contents.size()}};
  return file;
}

FakeHub::FakeHub(const TlsIdentity* identity)
    : listing({{"id", "owner/name"}, {"sha", kCommit}, {"siblings", Json::array()}}),
      storage(
          [this](const Connection& connection, const SeenRequest& request) {
            if (on_store(connection, request)) return;
            // The target has the form "/store/ID?signature=...".
            const std::string id = request.target.substr(7, request.target.find('?') - 7);
            serve(connection, request, files_.at(id), "\"" + id + "\"");
          },
          identity),
      server([this](const Connection& connection,
                    const SeenRequest& request) { answer(connection, request); },
             identity) {}

void FakeHub::answer(const Connection& connection, const SeenRequest& request) {
  if (request.target.starts_with("/api/models/owner/name/revision/")) {
    if (!on_api(connection, request)) connection.answer(200, listing.dump());
    return;
  }
  if (on_file(connection, request)) return;
  const std::string resolve = fmt::format("/owner/name/resolve/{}/", kCommit);
  const std::string name =
      request.target.starts_with(resolve) ? unescape(request.target.substr(resolve.size())) : "";
  if (!files_.contains(name)) return connection.answer(404, "no such thing");
  if (const std::string lfs_id = ids_.at(name); lfs_id.size() == 64)
    return connection.answer(
        302, request.method == "HEAD" ? "" : "elsewhere",
        fmt::format("Location: {}/store/{}?signature=hidden\r\nX-Repo-Commit: {}\r\n"
                    "X-Linked-Etag: \"{}\"\r\nX-Linked-Size: {}\r\n",
                    storage.url(), lfs_id, kCommit, lfs_id, files_.at(name).size()));
  serve(connection, request, files_.at(name), "\"" + ids_.at(name) + "\"");
}

void FakeHub::add(const std::string& name, const std::string& contents, bool lfs) {
  const Json entry = listed(name, contents, lfs);
  listing["siblings"].push_back(entry);
  ids_[name] = lfs ? entry["lfs"]["sha256"] : entry["blobId"];
  files_[name] = contents;
  files_[id(name)] = contents;
}

void FakeHub::add_folder(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder))
    add(entry.path().filename().string(), read_file(entry.path()),
        entry.path().extension() == ".safetensors");
}

void FakeHub::serve(const Connection& connection, const SeenRequest& request,
                    const std::string& contents, const std::string& tag) {
  const std::size_t first = request.first_byte();
  const std::string wanted = request.field("if-range");
  const std::string fields = fmt::format("ETag: {}\r\n", tag);
  if (request.method == "HEAD")
    return connection.send_head(200,
                                fmt::format("{}Content-Length: {}\r\n", fields, contents.size()));
  if (first == 0 || (!wanted.empty() && wanted != tag))
    return connection.answer(200, contents, fields);
  if (first >= contents.size()) return connection.answer(416, "", fields);
  connection.answer(206, contents.substr(first),
                    fmt::format("{}Content-Range: bytes {}-{}/{}\r\n", fields, first,
                                contents.size() - 1, contents.size()));
}

HubTest::HubTest(const TlsIdentity* identity) : hub_(identity) {
  for (const char* name :
       {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE",
        "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HUB_DISABLE_SYMLINKS",
        "XDG_CACHE_HOME", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy",
        "NO_PROXY", "CURL_CA_BUNDLE"})
    ::unsetenv(name);
  set_variable("HF_HOME", cache_.path().string());
  set_variable("HF_ENDPOINT", hub_.server.url());
}

void HubTest::set_variable(const std::string& name, const std::string& value) {
  surroundings_.environment[name] = value;
  ::setenv(name.c_str(), value.c_str(), 1);
}

bool HubTest::noted(std::string_view fragment) const {
  return std::ranges::any_of(
      notes_, [&](const std::string& note) { return note.find(fragment) != std::string::npos; });
}

void HubTest::leave_partial(const std::string& name, const std::string& contents) const {
  fs::create_directories(repository() / "blobs");
  write_file(partial(name), contents);
}

void HubTest::expect_all_here() const {
  for (const Json& file : hub_.listing["siblings"]) {
    const std::string name = file["rfilename"];
    EXPECT_TRUE(fs::is_symlink(snapshot() / name)) << name;
    EXPECT_TRUE(fs::read_symlink(snapshot() / name).is_relative()) << name;
    EXPECT_EQ(fs::canonical(snapshot() / name), fs::canonical(blob(name))) << name;
    EXPECT_EQ(read_file(snapshot() / name), hub_.contents(name)) << name;
    EXPECT_FALSE(fs::exists(partial(name))) << name;
  }
  EXPECT_EQ(read_file(repository() / "refs/main"), kCommit);
  for (const auto& entry : fs::directory_iterator(repository())) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name == "blobs" || name == "refs" || name == "snapshots") << name;
  }
}

fs::path HubTest::download(hub::DownloadRequest request) {
  const hub::DownloadWatch watch{
      .progress = [](std::uint64_t done, std::uint64_t total) { EXPECT_LE(done, total); },
      .note = [this](const std::string& line) { notes_.push_back(line); }};
  return hub::download(request, {.timeout_seconds = 1, .first_pause_ms = 1}, watch, calls_);
}

Finished HubTest::run_download(const Arguments& more) const {
  return run(Arguments{"download", "owner/name"} + more, "", surroundings_);
}

void HubTest::expect_refusal(const Arguments& more, int status,
                             std::initializer_list<std::string_view> fragments) const {
  const Finished finished = run_download(Arguments{"--quiet"} + more);
  EXPECT_EQ(finished.status, status) << finished.describe();
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
  for (const std::string_view fragment : fragments)
    EXPECT_NE(finished.err.find(fragment), finished.err.npos)
        << finished.err << "should hold " << fragment;
}

}  // namespace bitaxon::test
