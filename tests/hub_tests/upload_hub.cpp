#include "upload_hub.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <sstream>
#include <utility>

#include "fake_hub.h"
#include "hub/content_id.h"

namespace bitaxon::test {
namespace {

std::string sha256(const std::string& bytes) {
  return hub::content_id(bytes, hub::ContentHash::sha256);
}

std::string from_base64(const std::string& text) {
  std::string bytes(text.size() / 4 * 3, '\0');
  EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                  reinterpret_cast<const unsigned char*>(text.data()),
                  static_cast<int>(text.size()));
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  bytes.resize(bytes.size() - padding);
  return bytes;
}

/// The words of an address between slashes, without the query.
std::vector<std::string> words_of(const std::string& target) {
  std::vector<std::string> words;
  std::istringstream path(target.substr(1, target.find('?') - 1));
  for (std::string word; std::getline(path, word, '/');) words.push_back(word);
  return words;
}

}  // namespace

UploadHub::UploadHub()
    : storage([this](const Connection& connection, const SeenRequest& request) {
        store(connection, request);
      }),
      server([this](const Connection& connection, const SeenRequest& request) {
        answer(connection, request);
      }) {}

std::string UploadHub::file(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  if (files_.contains(name)) return files_.at(name);
  ADD_FAILURE() << "the repository has no file " << name;
  return {};
}

std::vector<std::string> UploadHub::file_names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, contents] : files_) names.push_back(name);
  return names;
}

std::vector<std::string> UploadHub::messages() const {
  const std::lock_guard lock(mutex_);
  return messages_;
}

bool UploadHub::has_object(const std::string& contents) const {
  const std::lock_guard lock(mutex_);
  return objects_.contains(sha256(contents));
}

std::vector<SeenRequest> UploadHub::asked(const std::string& fragment) const {
  std::vector<SeenRequest> found;
  for (SeenRequest& request : server.requests())
    if (request.target.find(fragment) != std::string::npos) found.push_back(std::move(request));
  return found;
}

std::size_t UploadHub::stored_bytes() const {
  std::size_t n = 0;
  for (const SeenRequest& request : storage.requests())
    if (request.method == "PUT") n += request.body.size();
  return n;
}

void UploadHub::answer(const Connection& connection, const SeenRequest& request) {
  if (on_hub && on_hub(connection, request)) return;
  if (request.field("authorization") != std::string("Bearer ") + kToken)
    return connection.answer(401, R"({"error": "Invalid credentials"})");
  const std::string& target = request.target;
  const std::lock_guard lock(mutex_);
  if (target == "/api/repos/create") {
    if (exists)
      return connection.answer(409, R"({"error": "You already created this model repo"})");
    const Json wanted = Json::parse(request.body);
    EXPECT_EQ(wanted["organization"], "owner");
    EXPECT_EQ(wanted["name"], "name");
    exists = true;
    is_private = wanted["private"];
    return connection.answer(200, R"({"url": "x"})");
  }
  if (!exists) return connection.answer(404, R"({"error": "Repository not found"})");
  if (target == "/api/models/owner/name") return connection.answer(200, "{}");
  if (target.starts_with("/api/models/owner/name/revision/main"))
    return connection.answer(200, listing().dump());
  if (target.starts_with("/api/models/owner/name/tree/")) return connection.answer(200, "[]");
  if (target == "/api/models/owner/name/preupload/main")
    return connection.answer(200, modes(Json::parse(request.body)).dump());
  if (target == "/owner/name.git/info/lfs/objects/batch")
    return connection.answer(200, batch(Json::parse(request.body)).dump());
  if (target == "/verify") {
    const std::string id = Json::parse(request.body)["oid"];
    return connection.answer(objects_.contains(id) ? 200 : 404, "{}");
  }
  if (target == "/api/models/owner/name/commit/main") {
    commit(request.body);
    if (std::exchange(loses_an_answer, false)) return;
    return connection.answer(200,
                             fmt::format(R"({{"success": true, "commitOid": "{}"}})", kCommit));
  }
  connection.answer(404, "");
}

void UploadHub::store(const Connection& connection, const SeenRequest& request) {
  // Real stores refuse a request that has a signed address and a token.
  if (!request.field("authorization").empty()) return connection.answer(400, "");
  if (on_store && on_store(connection, request)) return;
  const std::vector<std::string> words = words_of(request.target);
  const std::lock_guard lock(mutex_);
  if (words[0] == "whole") {
    objects_[sha256(request.body)] = request.body;
    return connection.answer(200, "");
  }
  if (words[0] == "part") {
    const std::size_t number = std::stoull(words[2]);
    parts_[words[1]][number] = request.body;
    return connection.answer(200, "", fmt::format("ETag: \"tag-{}\"\r\n", number));
  }
  const Json body = Json::parse(request.body);
  std::string contents;
  for (const Json& part : body["parts"]) {
    const std::size_t number = part["partNumber"];
    if (part["etag"] != fmt::format("\"tag-{}\"", number)) return connection.answer(400, "");
    contents += parts_[words[1]][number];
  }
  if (sha256(contents) != body["oid"]) return connection.answer(400, "");
  objects_[words[1]] = contents;
  connection.answer(200, "");
}

Json UploadHub::listing() const {
  Json siblings = Json::array();
  for (const auto& [name, contents] : files_)
    siblings.push_back(listed(name, contents, lfs_.at(name)));
  return {{"id", "owner/name"}, {"sha", kCommit}, {"siblings", std::move(siblings)}};
}

Json UploadHub::modes(const Json& asked) const {
  Json files = Json::array();
  for (const Json& file : asked["files"]) {
    const std::string name = file["path"];
    files.push_back({{"path", name},
                     {"uploadMode", name.ends_with(".safetensors") ? "lfs" : "regular"},
                     {"shouldIgnore", name == "ignored.txt"}});
  }
  return {{"files", std::move(files)}};
}

Json UploadHub::batch(const Json& asked) const {
  EXPECT_EQ(asked["operation"], "upload");
  const Json& object = asked["objects"][0];
  const std::string id = object["oid"];
  const std::size_t size = object["size"];
  Json answer = {{"oid", id}, {"size", size}};
  if (!objects_.contains(id)) {
    Json header = Json::object();
    const char* kind = "whole";
    if (part_bytes > 0 && size > part_bytes) {
      kind = "complete";
      header["chunk_size"] = std::to_string(part_bytes);
      for (std::size_t i = 1; i <= (size + part_bytes - 1) / part_bytes; ++i)
        header[fmt::format("{:05}", i)] =
            fmt::format("{}/part/{}/{}?signature=hidden", storage.url(), id, i);
    }
    answer["actions"]["upload"] = {
        {"href", fmt::format("{}/{}/{}?signature=hidden", storage.url(), kind, id)},
        {"header", std::move(header)}};
    answer["actions"]["verify"] = {{"href", server.url() + "/verify"}};
  }
  return {{"transfer", part_bytes > 0 ? "multipart" : "basic"},
          {"objects", Json::array({std::move(answer)})}};
}

void UploadHub::commit(const std::string& lines) {
  std::istringstream text(lines);
  for (std::string line; std::getline(text, line);) {
    const Json entry = Json::parse(line);
    const Json& value = entry["value"];
    if (entry["key"] == "header") {
      messages_.push_back(value["summary"]);
      continue;
    }
    const bool lfs = entry["key"] == "lfsFile";
    const std::string name = value["path"];
    lfs_[name] = lfs;
    files_[name] = lfs ? objects_.at(value["oid"]) : from_base64(value["content"]);
  }
}

}  // namespace bitaxon::test
