#include "hub/hub_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "hub/hub_names.h"
#include "hub/retries.h"
#include "hub/url.h"
#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

constexpr JsonLimits kLimits{.max_bytes = std::size_t{32} << 20, .max_depth = 32};
constexpr std::size_t kMaxFiles = 100'000;
/// No file is larger, and sums of sizes fit 64 bits.
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 46;

[[noreturn]] void fail(std::string_view name, const std::string& what) {
  throw Error(ErrorKind::format, fmt::format("{}: {}", name, what));
}

/// The member of an object; null when it has none, or is none.
const Json& member(const Json& object, const char* key) {
  static const Json null;
  if (!object.is_object()) return null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

HubFile parse_file(const Json& entry, std::string_view name) {
  HubFile file;
  if (!member(entry, "rfilename").is_string())
    fail(name, "expected files with a text \"rfilename\", got one without");
  file.name = text_of(member(entry, "rfilename"));
  if (const std::string problem = path_problem(file.name); !problem.empty())
    fail(name, fmt::format("file \"{}\": expected a name below the repository, got {}",
                           printable(file.name), problem));
  const Json& lfs = member(entry, "lfs");
  const Json& size = lfs.is_object() ? member(lfs, "size") : member(entry, "size");
  if (!size.is_number_unsigned() || size.get<std::uint64_t>() > kMaxFileBytes)
    fail(name, fmt::format("file \"{}\": expected its size in bytes, got {}", printable(file.name),
                           printable(size.dump())));
  file.size_bytes = size.get<std::uint64_t>();
  file.id = text_of(lfs.is_object() ? member(lfs, "sha256") : member(entry, "blobId"));
  if (!is_hex(file.id, lfs.is_object() ? 64 : 40))
    fail(name, fmt::format("file \"{}\": expected its {}, got \"{}\"", printable(file.name),
                           lfs.is_object() ? "SHA-256 (64 hexadecimal digits)"
                                           : "blobId (40 hexadecimal digits)",
                           printable(file.id)));
  return file;
}

/// No two files of one name, and no file where another needs a folder.
void refuse_conflicts(const std::vector<HubFile>& files, std::string_view name) {
  std::set<std::string_view> names;
  for (const HubFile& file : files)
    if (!names.insert(file.name).second)
      fail(name, fmt::format("file \"{}\": expected it once, got it twice", printable(file.name)));
  for (const HubFile& file : files)
    for (std::size_t end = file.name.find('/'); end != file.name.npos;
         end = file.name.find('/', end + 1))
      if (const std::string_view folder(file.name.data(), end); names.contains(folder))
        fail(name, fmt::format("file \"{}\": expected a folder \"{}\", got a file of that name",
                               printable(file.name), printable(folder)));
}

/// The whole answer as text, bounded. `head` is the answer's.
HttpAnswer get_text(HttpClient& client, const HttpRequest& request, std::string& text) {
  text.clear();
  return client.get(
      request,
      {.on_head = {}, .on_bytes = [&](std::span<const std::byte> bytes) {
         if (text.size() + bytes.size() > kLimits.max_bytes)
           fail(shown(request.url),
                fmt::format("expected at most {} bytes of JSON, got more", kLimits.max_bytes));
         text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
       }});
}

}  // namespace

HubListing parse_listing(std::string_view text, std::string_view name) {
  const Json json = parse_json(text, name, kLimits);
  HubListing listing;
  listing.commit = text_of(member(json, "sha"));
  if (!is_hex(listing.commit, 40))
    fail(name, fmt::format("expected a commit of 40 hexadecimal digits in \"sha\", got \"{}\"",
                           printable(listing.commit)));
  const Json& files = member(json, "siblings");
  if (!files.is_array() || files.size() > kMaxFiles)
    fail(name, fmt::format("expected a list of at most {} files in \"siblings\", got {}", kMaxFiles,
                           files.is_array() ? "more" : "none"));
  for (const Json& entry : files) listing.files.push_back(parse_file(entry, name));
  refuse_conflicts(listing.files, name);
  return listing;
}

HubListing list_files(HttpClient& client, const HubServer& server, const std::string& repository,
                      const std::string& revision, const Note& note) {
  const std::string url = fmt::format("{}/api/models/{}/revision/{}?blobs=true", server.endpoint,
                                      repository, escape(revision));
  const std::string what = fmt::format("{} at {}", repository, printable(revision));
  Retries retries(client.options());
  std::string text;
  for (;;) {
    const HttpAnswer answer = get_text(client, {.url = url, .token = server.token}, text);
    std::string problem = answer.problem;
    if (problem.empty() && answer.head.status == 200) return parse_listing(text, shown(url));
    if (problem.empty()) {
      if (!is_passing(answer.head.status)) refuse_status(answer, server, what);
      problem =
          fmt::format("{} answers with status {}", shown_origin(answer.url), answer.head.status);
    }
    if (!retries.wait(retry_after_seconds(answer.head)))
      throw Error(ErrorKind::io,
                  fmt::format("{}: {} (tried {} times)", what, problem, Retries::kMaxTries));
    note(fmt::format("{}: {}; trying again", what, problem));
  }
}

std::string file_url(const HubServer& server, const std::string& repository,
                     const std::string& commit, const std::string& name) {
  return fmt::format("{}/{}/resolve/{}/{}", server.endpoint, repository, commit, escape_path(name));
}

void refuse_status(const HttpAnswer& answer, const HubServer& server, const std::string& what) {
  std::string reason;
  switch (answer.head.status) {
    case 401:
    case 403:
      // Who may read what is the hub's to say, and the token stays with it.
      if (!(origin_of(answer.url) == origin_of(server.endpoint)))
        reason = fmt::format("{} sent us there, without the token; the same command may help later",
                             server.endpoint);
      else if (answer.token_sent)
        reason = "the token in HF_TOKEN (or its file) is not one of somebody who may read it";
      else
        reason =
            "it does not exist or is not public: set HF_TOKEN to the token of somebody who may "
            "read it";
      break;
    case 404:
      reason = "there is no such repository, revision or file";
      break;
    default:
      reason = "expected status 200";
  }
  if (const std::string words = answer.head.field("x-error-message"); !words.empty())
    reason += fmt::format(" (\"{}\")", printable(words, 200));
  throw Error(ErrorKind::io, fmt::format("{}: {} answers with status {}: {}", what,
                                         shown_origin(answer.url), answer.head.status, reason));
}

}  // namespace bitaxon::hub
