#include "hub/upload.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "bitaxon/error.h"
#include "hub/content_id.h"
#include "hub/retries.h"
#include "hub/upload_api.h"
#include "hub_cache/hub_cache.h"
#include "hub_cache/hub_names.h"
#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

constexpr std::size_t kSampleBytes = 512;
/// The largest file that may be part of the commit itself.
constexpr std::uint64_t kMaxInlineBytes = std::uint64_t{64} << 20;
/// The hash of a larger file takes noticeable time.
constexpr std::uint64_t kSlowHashBytes = std::uint64_t{1} << 30;

void check(const UploadRequest& request) {
  const auto refuse = [](const std::string& problem) {
    throw Error(ErrorKind::invalid_argument, problem);
  };
  if (!is_repository(request.repository))
    refuse(
        fmt::format("--repo-id: expected owner/name, got \"{}\"", printable(request.repository)));
  if (const std::string problem = path_problem(request.revision); !problem.empty())
    refuse(fmt::format("--revision: expected a branch, got {} (\"{}\")", problem,
                       printable(request.revision)));
  if (request.message.empty() ||
      std::ranges::any_of(request.message, [](char c) { return c >= 0 && c < ' '; }))
    refuse(fmt::format("--commit-message: expected one line of text, got \"{}\"",
                       printable(request.message)));
  std::set<std::string> names;
  for (const UploadFile& file : request.files) {
    if (const std::string problem = path_problem(file.name); !problem.empty())
      refuse(fmt::format("\"{}\": expected a path in a repository, got {}", printable(file.name),
                         problem));
    if (!names.insert(file.name).second)
      refuse(fmt::format("\"{}\": expected one file of this name, got two", printable(file.name)));
  }
  if (names.empty()) refuse("upload: expected files, got none");
}

/// A file to upload, opened and described.
struct Local {
  std::string name;
  std::optional<File> file;  ///< empty for a text
  std::string text;
  std::uint64_t size_bytes = 0;
  bool lfs = false;
  std::string id;  ///< the hash that names the contents in the repository
};

std::string first_bytes(const Local& local) {
  if (!local.file) return local.text.substr(0, kSampleBytes);
  std::string bytes(std::min<std::uint64_t>(kSampleBytes, local.size_bytes), '\0');
  local.file->read_at(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

std::string whole(const Local& local) {
  if (!local.file) return local.text;
  if (local.size_bytes > kMaxInlineBytes)
    throw Error(ErrorKind::format, fmt::format("{}: expected the hub to take {} bytes into LFS",
                                               local.name, local.size_bytes));
  std::string bytes(static_cast<std::size_t>(local.size_bytes), '\0');
  local.file->read_at(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

HubServer server_with_token() {
  HubServer server = HubServer::from_environment("upload");
  if (server.token.empty())
    throw Error(ErrorKind::io,
                fmt::format("upload: expected a token that may write in HF_TOKEN or in {}, found "
                            "none",
                            printable_path(hub_token_file().string())));
  return server;
}

class Upload {
 public:
  Upload(const UploadRequest& request, const HttpOptions& options, const UploadWatch& watch)
      : request_(request),
        options_(options),
        watch_(watch),
        server_(server_with_token()),
        client_(options),
        api_(client_, server_, request.repository, request.revision, note()) {}

  UploadReport run() {
    open_files();
    report_.url = fmt::format("{}/{}", server_.endpoint, request_.repository);
    report_.is_new = api_.create(request_.is_private);
    if (!report_.is_new && request_.is_private)
      note()("the repository exists already; --private does not change it");
    choose_modes();
    std::map<std::string, std::string> known = known_ids();
    std::erase_if(files_, [&](const Local& local) { return known[local.name] == local.id; });
    report_.n_changed = files_.size();
    if (files_.empty()) return report_;
    for (const Local& local : files_) changed_bytes_ += local.size_bytes;
    for (const Local& local : files_) {
      if (local.lfs) send_contents(local);
      done_bytes_ += local.size_bytes;
    }
    commit();
    return report_;
  }

 private:
  Note note() const {
    return [this](const std::string& line) {
      if (watch_.note) watch_.note(line);
    };
  }

  void open_files() {
    for (const UploadFile& wanted : request_.files) {
      Local local{.name = wanted.name, .file = {}, .text = wanted.text, .size_bytes = 0, .id = {}};
      if (!wanted.path.empty()) local.file.emplace(File::open(wanted.path));
      local.size_bytes = local.file ? local.file->size_bytes() : local.text.size();
      report_.total_bytes += local.size_bytes;
      files_.push_back(std::move(local));
    }
  }

  /// Asks the hub which files go into LFS, and computes the hash that each file then has.
  void choose_modes() {
    std::vector<UploadApi::Sampled> sampled;
    for (const Local& local : files_)
      sampled.push_back({local.name, local.size_bytes, first_bytes(local)});
    const std::map<std::string, bool> modes = api_.ask_modes(sampled);
    std::erase_if(files_, [&](const Local& local) {
      if (modes.contains(local.name)) return false;
      note()(fmt::format("{}: the repository ignores this file", local.name));
      return true;
    });
    for (Local& local : files_) {
      local.lfs = modes.at(local.name);
      if (local.size_bytes > kSlowHashBytes)
        note()(fmt::format("{}: computing its hash", local.name));
      const ContentHash hash = local.lfs ? ContentHash::sha256 : ContentHash::git_blob;
      local.id =
          local.file ? content_id(*local.file, hash, options_) : content_id(local.text, hash);
    }
  }

  /// The ids of the files that the repository has.
  std::map<std::string, std::string> known_ids() {
    HubRepository repository(client_, server_, request_.repository, request_.revision, note());
    std::map<std::string, std::string> ids;
    for (const ListedFile& file : repository.list().files) ids[file.name] = file.id;
    return ids;
  }

  void send_contents(const Local& local) {
    const LfsObject object{local.id, local.size_bytes};
    Retries retries(options_);
    for (;;) {
      const LfsPlan plan = api_.plan(object, local.name);
      if (!plan.upload) return;
      if (plan.part_bytes == 0 ? send_whole(local, plan) : send_parts(local, plan, object)) {
        if (plan.verify) api_.verify(*plan.verify, object, local.name);
        report_.sent_bytes += local.size_bytes;
        return;
      }
      if (!retries.is_left())
        throw Error(ErrorKind::io,
                    fmt::format("{}: the store refuses the addresses that the hub gives (tried {} "
                                "times)",
                                local.name, Retries::kMaxTries));
      note()(
          fmt::format("{}: the addresses have expired; {}", local.name, retries.announcement(0)));
      retries.wait(0);
    }
  }

  bool send_whole(const Local& local, const LfsPlan& plan) {
    return send(local, *plan.upload, 0, local.size_bytes).has_value();
  }

  bool send_parts(const Local& local, const LfsPlan& plan, const LfsObject& object) {
    std::vector<std::string> tags;
    for (const std::string& url : plan.part_urls) {
      const std::uint64_t first = tags.size() * plan.part_bytes;
      const auto tag =
          send(local, {.url = url}, first, std::min(plan.part_bytes, local.size_bytes - first));
      if (!tag) return false;
      if (tag->empty())
        throw Error(ErrorKind::format,
                    fmt::format("{}: expected an ETag for part {}, the store sends none",
                                local.name, tags.size() + 1));
      tags.push_back(*tag);
    }
    return api_.complete(*plan.upload, object, tags, local.name);
  }

  std::optional<std::string> send(const Local& local, const LfsAction& to, std::uint64_t first,
                                  std::uint64_t size) {
    HttpBody body{.first_byte = first, .size_bytes = size};
    body.on_sent = [&](std::uint64_t sent) {
      if (watch_.progress) watch_.progress(done_bytes_ + first + sent, changed_bytes_);
    };
    if (local.file)
      body.file = &*local.file;
    else
      body.text = local.text;
    return api_.send(to, std::move(body), local.name);
  }

  void commit() {
    std::vector<CommitFile> files;
    for (const Local& local : files_) {
      CommitFile file{.name = local.name, .lfs = {}, .text = {}};
      if (local.lfs)
        file.lfs = LfsObject{local.id, local.size_bytes};
      else
        file.text = whole(local);
      files.push_back(std::move(file));
    }
    Retries retries(options_);
    for (;;) {
      if (const auto id = api_.commit(request_.message, files)) {
        report_.commit = *id;
        return;
      }
      if (!retries.is_left())
        throw Error(ErrorKind::io, fmt::format("{}: the hub does not answer a commit (tried {} "
                                               "times)",
                                               request_.repository, Retries::kMaxTries));
      note()(fmt::format("{}: no answer to the commit; {}", request_.repository,
                         retries.announcement(0)));
      retries.wait(0);
      if (is_committed()) return;
    }
  }

  /// Whether the repository has all files, so that only the answer to a commit was lost.
  bool is_committed() {
    HubRepository repository(client_, server_, request_.repository, request_.revision, note());
    const HubListing listing = repository.list();
    std::map<std::string, std::string> ids;
    for (const ListedFile& file : listing.files) ids[file.name] = file.id;
    for (const Local& local : files_)
      if (ids[local.name] != local.id) return false;
    report_.commit = listing.commit;
    return true;
  }

  const UploadRequest& request_;
  HttpOptions options_;
  const UploadWatch& watch_;
  HubServer server_;
  HttpClient client_;
  UploadApi api_;
  std::vector<Local> files_;
  UploadReport report_;
  std::uint64_t changed_bytes_ = 0;  ///< the size of the files that the repository does not have
  std::uint64_t done_bytes_ = 0;     ///< the size of those that are finished
};

}  // namespace

void check_upload_access() { server_with_token(); }

UploadReport upload(const UploadRequest& request, const HttpOptions& options,
                    const UploadWatch& watch) {
  check(request);
  return Upload(request, options, watch).run();
}

}  // namespace bitaxon::hub
