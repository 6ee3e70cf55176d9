#include "hub/upload_api.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "hub/hub_listing.h"
#include "hub/retries.h"
#include "hub/url.h"
#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

constexpr const char* kJson = "application/json";
constexpr const char* kLfsJson = "application/vnd.git-lfs+json";
constexpr const char* kLines = "application/x-ndjson";
constexpr std::size_t kMaxAnswerBytes = std::size_t{8} << 20;
constexpr std::size_t kMaxParts = 10'000;

bool is_success(int status) { return status == 200 || status == 201 || status == 204; }
/// Statuses of a store whose signed address has expired.
bool is_expired(int status) { return status == 401 || status == 403 || status == 404; }

std::string base64(std::string_view bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string text_in(const Json& object, const char* key) {
  if (!object.is_object()) return {};
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// The words in the body of a refusal: JSON with `error` or `message`, or a store's XML.
std::string words_of(const HttpAnswer& answer) {
  if (const std::string words = answer.head.field("x-error-message"); !words.empty()) return words;
  const std::string& text = answer.refusal;
  try {
    const Json json = parse_json(text, "answer");
    const std::string error = text_in(json, "error");
    return error.empty() ? text_in(json, "message") : error;
  } catch (const Error&) {
    const std::size_t begin = text.find("<Message>"), end = text.find("</Message>");
    if (begin == text.npos || end == text.npos || end < begin) return {};
    return text.substr(begin + 9, end - begin - 9);
  }
}

std::string reason_of(int status, bool token_sent) {
  switch (status) {
    case 401:
      return token_sent ? "the token in HF_TOKEN (or its file) is not valid" : "it expects a token";
    case 403:
      return "the token in HF_TOKEN (or its file) may not do this: it must be allowed to write, "
             "and "
             "the account must have room";
    case 404:
      return "there is no such repository or branch";
    case 409:
    case 412:
      return "the repository has changed in the meantime; the same command tries again";
    case 413:
    case 507:
      return "this is too large for it";
    default:
      return "expected status 200";
  }
}

std::uint64_t number_in(const Json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  std::uint64_t number = 0;
  if (value.is_string()) {
    const std::string& text = value.get_ref<const std::string&>();
    std::from_chars(text.data(), text.data() + text.size(), number);
  }
  return number;
}

/// Reads an action. The fields that describe parts go into the plan instead.
LfsAction read_action(const Json& json, const std::string& what, LfsPlan* plan) {
  LfsAction action{.url = text_in(json, "href")};
  if (action.url.empty())
    throw Error(ErrorKind::format, what + ": expected an address in an LFS action, got none");
  const Json header = json.contains("header") ? json["header"] : Json::object();
  std::map<std::uint64_t, std::string> parts;
  for (const auto& [key, value] : header.items()) {
    std::uint64_t number = 0;
    const auto result = std::from_chars(key.data(), key.data() + key.size(), number);
    if (plan != nullptr && key == "chunk_size")
      plan->part_bytes = number_in(value);
    else if (plan != nullptr && result.ec == std::errc() && result.ptr == key.data() + key.size())
      parts[number] = value.is_string() ? value.get<std::string>() : "";
    else if (value.is_string())
      action.fields[key] = value.get<std::string>();
  }
  if (plan != nullptr)
    for (auto& [number, url] : parts) plan->part_urls.push_back(std::move(url));
  return action;
}

void check_parts(const LfsPlan& plan, const LfsObject& object, const std::string& what) {
  if (plan.part_bytes == 0) return;
  const std::uint64_t n_parts = (object.size_bytes + plan.part_bytes - 1) / plan.part_bytes;
  if (n_parts != plan.part_urls.size() || n_parts > kMaxParts)
    throw Error(ErrorKind::format,
                fmt::format("{}: expected addresses of {} parts of {} bytes, the hub sends {}",
                            what, n_parts, plan.part_bytes, plan.part_urls.size()));
}

Json lfs_json(const LfsObject& object) { return {{"oid", object.id}, {"size", object.size_bytes}}; }

}  // namespace

UploadApi::UploadApi(HttpClient& client, const HubServer& server, const std::string& repository,
                     const std::string& revision, Note note)
    : client_(client),
      server_(server),
      repository_(repository),
      revision_(revision),
      note_(std::move(note)) {}

std::string UploadApi::token_for(const std::string& url) const {
  return origin_of(url) == origin_of(server_.endpoint) ? server_.token : "";
}

void UploadApi::refuse(const HttpAnswer& answer, const std::string& what) const {
  std::string words = words_of(answer);
  // A server may repeat the token in its answer.
  for (std::size_t at; !server_.token.empty() && (at = words.find(server_.token)) != words.npos;)
    words.replace(at, server_.token.size(), "...");
  throw Error(ErrorKind::io,
              fmt::format("{}: {} answers with status {}: {}{}", what, shown_origin(answer.url),
                          answer.head.status, reason_of(answer.head.status, answer.token_sent),
                          words.empty() ? "" : fmt::format(" (\"{}\")", printable(words, 200))));
}

HttpAnswer UploadApi::post(const std::string& url, const std::string& type, const std::string& body,
                           const std::string& what, std::string* answer_text,
                           const std::function<bool(int)>& is_final) {
  const HttpReceiver receiver{
      .on_head =
          [&](const HttpHead&) {
            if (answer_text != nullptr) answer_text->clear();
          },
      .on_bytes =
          [&](std::span<const std::byte> bytes) {
            if (answer_text == nullptr) return;
            if (answer_text->size() + bytes.size() > kMaxAnswerBytes)
              throw Error(ErrorKind::format,
                          fmt::format("{}: expected at most {} bytes of JSON, got "
                                      "more",
                                      shown(url), kMaxAnswerBytes));
            answer_text->append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          }};
  HttpRequest request{.url = url, .token = token_for(url), .method = HttpMethod::post};
  request.fields = {{"Content-Type", type}};
  if (type == kLfsJson) request.fields["Accept"] = type;
  request.body = {.text = body, .answer_is_slow = true};
  HttpAnswer answer = ask_patiently(client_, request, receiver, what, note_);
  const int status = answer.head.status;
  if (!is_success(status) && !(is_final && is_final(status))) refuse(answer, what);
  return answer;
}

Json UploadApi::post_json(const std::string& url, const Json& body, const std::string& what) {
  std::string text;
  post(url, kJson, body.dump(), what, &text);
  return parse_json(text, shown(url));
}

bool UploadApi::create(bool is_private) {
  const std::size_t slash = repository_.find('/');
  const Json body = {{"type", "model"},
                     {"organization", repository_.substr(0, slash)},
                     {"name", repository_.substr(slash + 1)},
                     {"private", is_private}};
  constexpr int kExists = 409;
  // A token for one repository may not make any, but it may write to that one.
  constexpr int kForbidden = 403;
  const HttpAnswer answer =
      post(server_.endpoint + "/api/repos/create", kJson, body.dump(), repository_, nullptr,
           [](int status) { return status == kExists || status == kForbidden; });
  if (answer.head.status == kForbidden) {
    const HttpAnswer known =
        ask_patiently(client_,
                      {.url = fmt::format("{}/api/models/{}", server_.endpoint, repository_),
                       .token = server_.token},
                      {.on_bytes = [](std::span<const std::byte>) {}}, repository_, note_);
    if (known.head.status != 200) refuse(answer, repository_);
  }
  return is_success(answer.head.status);
}

std::map<std::string, bool> UploadApi::ask_modes(const std::vector<Sampled>& files) {
  constexpr std::size_t kMostFiles = 256;  // in one request
  const std::string url = fmt::format("{}/api/models/{}/preupload/{}", server_.endpoint,
                                      repository_, escape(revision_));
  std::map<std::string, bool> modes;
  for (std::size_t begin = 0; begin < files.size(); begin += kMostFiles) {
    Json list = Json::array();
    for (std::size_t i = begin; i < std::min(files.size(), begin + kMostFiles); ++i)
      list.push_back({{"path", files[i].name},
                      {"size", files[i].size_bytes},
                      {"sample", base64(files[i].first_bytes)}});
    const Json answer = post_json(url, {{"files", std::move(list)}}, repository_);
    const Json modes_json = answer.is_object() ? answer.value("files", Json()) : Json();
    if (!modes_json.is_array())
      throw Error(ErrorKind::format, fmt::format("{}: expected a list of files", shown(url)));
    for (const Json& file : modes_json) {
      const std::string mode = text_in(file, "uploadMode");
      if (mode != "lfs" && mode != "regular")
        throw Error(ErrorKind::format,
                    fmt::format("{}: expected the upload mode lfs or regular, got \"{}\"",
                                shown(url), printable(mode)));
      if (!file.contains("shouldIgnore") || file["shouldIgnore"] != true)
        modes[text_in(file, "path")] = mode == "lfs";
    }
  }
  return modes;
}

LfsPlan UploadApi::plan(const LfsObject& object, const std::string& name) {
  const std::string url =
      fmt::format("{}/{}.git/info/lfs/objects/batch", server_.endpoint, repository_);
  const Json body = {{"operation", "upload"},
                     {"transfers", {"basic", "multipart"}},
                     {"hash_algo", "sha256"},
                     {"ref", {{"name", revision_}}},
                     {"objects", Json::array({lfs_json(object)})}};
  std::string text;
  post(url, kLfsJson, body.dump(), name, &text);
  const Json answer = parse_json(text, shown(url));
  const Json objects = answer.is_object() ? answer.value("objects", Json()) : Json();
  if (!objects.is_array() || objects.size() != 1 || text_in(objects[0], "oid") != object.id)
    throw Error(ErrorKind::format, fmt::format("{}: expected one LFS object", shown(url)));
  const Json& found = objects[0];
  if (found.contains("error"))
    throw Error(ErrorKind::io, fmt::format("{}: the hub refuses it: {}", name,
                                           printable(text_in(found["error"], "message"), 200)));
  LfsPlan plan;
  const Json actions = found.value("actions", Json());
  if (!actions.is_object()) return plan;
  if (actions.contains("upload")) plan.upload = read_action(actions["upload"], name, &plan);
  if (actions.contains("verify")) plan.verify = read_action(actions["verify"], name, nullptr);
  check_parts(plan, object, name);
  return plan;
}

std::optional<std::string> UploadApi::send(const LfsAction& to, HttpBody body,
                                           const std::string& name) {
  HttpRequest request{.url = to.url, .token = token_for(to.url), .method = HttpMethod::put};
  request.fields = to.fields;
  if (to.fields.contains("Authorization")) request.token.clear();
  request.body = std::move(body);
  const HttpAnswer answer =
      ask_patiently(client_, request, {.on_bytes = [](std::span<const std::byte>) {}}, name, note_);
  const int status = answer.head.status;
  if (is_success(status)) return answer.head.field("etag");
  if (is_expired(status) && !answer.token_sent) return std::nullopt;
  refuse(answer, name);
}

bool UploadApi::complete(const LfsAction& upload, const LfsObject& object,
                         const std::vector<std::string>& tags, const std::string& name) {
  Json parts = Json::array();
  for (std::size_t i = 0; i < tags.size(); ++i)
    parts.push_back({{"partNumber", i + 1}, {"etag", tags[i]}});
  const Json body = {{"oid", object.id}, {"parts", std::move(parts)}};
  const HttpAnswer answer = post(upload.url, kLfsJson, body.dump(), name, nullptr,
                                 [](int status) { return is_expired(status) || status == 400; });
  return is_success(answer.head.status);
}

void UploadApi::verify(const LfsAction& action, const LfsObject& object, const std::string& name) {
  post(action.url, kLfsJson, lfs_json(object).dump(), name, nullptr);
}

std::optional<std::string> UploadApi::commit(const std::string& message,
                                             const std::vector<CommitFile>& files) {
  const auto line = [](const char* key, Json value) {
    return Json{{"key", key}, {"value", std::move(value)}}.dump() + "\n";
  };
  std::string body = line("header", {{"summary", message}, {"description", ""}});
  for (const CommitFile& file : files) {
    if (file.lfs)
      body += line("lfsFile", {{"path", file.name},
                               {"algo", "sha256"},
                               {"oid", file.lfs->id},
                               {"size", file.lfs->size_bytes}});
    else
      body += line("file",
                   {{"path", file.name}, {"encoding", "base64"}, {"content", base64(file.text)}});
  }
  const std::string url =
      fmt::format("{}/api/models/{}/commit/{}", server_.endpoint, repository_, escape(revision_));
  HttpRequest request{.url = url, .token = server_.token, .method = HttpMethod::post};
  request.fields = {{"Content-Type", kLines}};
  request.body = {.text = body, .answer_is_slow = true};
  std::string text;
  const HttpReceiver receiver{.on_bytes = [&](std::span<const std::byte> bytes) {
    if (text.size() < kMaxAnswerBytes)
      text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }};
  // This request is not repeated blindly: a second commit would be made if only the answer was lost.
  const HttpAnswer answer = client_.ask(request, receiver);
  if (!answer.problem.empty() || is_passing(answer.head.status)) return std::nullopt;
  if (!is_success(answer.head.status)) refuse(answer, repository_);
  return text_in(parse_json(text, shown(url)), "commitOid");
}

}  // namespace bitaxon::hub
