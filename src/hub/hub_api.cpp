#include "hub/hub_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

#include "bitaxon/error.h"
#include "hub/retries.h"
#include "hub/url.h"
#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

/// The size in a header field. Empty when the field holds no number.
std::optional<std::uint64_t> size_in(const std::string& field) {
  std::uint64_t size = 0;
  const auto result = std::from_chars(field.data(), field.data() + field.size(), size);
  if (field.empty() || result.ec != std::errc() || result.ptr != field.data() + field.size() ||
      size > kMaxFileBytes)
    return std::nullopt;
  return size;
}

/// Whether a redirect already gives the id and the size of a file. Such a redirect is not followed,
/// because its target may not allow HEAD.
bool tells_file(const HttpHead& head) {
  return !head.field("x-linked-etag").empty() && !head.field("x-linked-size").empty();
}

/// The address of the next page, which a Link field gives as `<ADDRESS>; rel="next"`. Empty when
/// the field has no such entry.
std::string next_page(const std::string& link) {
  for (std::size_t begin = link.find('<'); begin != link.npos; begin = link.find('<', begin + 1)) {
    const std::size_t end = link.find('>', begin);
    if (end == link.npos) return {};
    const std::string parameters = link.substr(end, link.find('<', end) - end);
    if (parameters.find("rel=\"next\"") != parameters.npos)
      return link.substr(begin + 1, end - begin - 1);
  }
  return {};
}

}  // namespace

HubRepository::HubRepository(HttpClient& client, const HubServer& server, const std::string& name,
                             const std::string& revision, Note note)
    : client_(client),
      server_(server),
      name_(name),
      revision_(revision),
      list_url_(fmt::format("{}/api/models/{}/revision/{}?blobs=true", server.endpoint, name,
                            escape(revision))),
      note_(std::move(note)) {}

HttpAnswer HubRepository::ask(const HttpRequest& request, const HttpReceiver& receiver,
                              const std::string& what) {
  HttpAnswer answer = ask_patiently(client_, request, receiver, what, note_);
  const bool is_told = receiver.is_enough && receiver.is_enough(answer.head);
  if (answer.head.status != 200 && !is_told) refuse_status(answer, server_, what);
  return answer;
}

/// Gets the whole answer as text of at most kMaxListingBytes bytes.
HttpAnswer HubRepository::get_text(const std::string& url, std::string& text) {
  const HttpReceiver receiver{
      .on_head = [&](const HttpHead&) { text.clear(); },
      .on_bytes =
          [&](std::span<const std::byte> bytes) {
            if (text.size() + bytes.size() > kMaxListingBytes)
              throw Error(ErrorKind::format,
                          fmt::format("{}: expected at most {} bytes of JSON, got more", shown(url),
                                      kMaxListingBytes));
            text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
          }};
  // The token goes only to the hub, whatever address the hub's answers name.
  const bool is_hub = origin_of(url) == origin_of(server_.endpoint);
  return ask({.url = url, .token = is_hub ? server_.token : ""}, receiver,
             fmt::format("{} at {}", name_, printable(revision_)));
}

HubListing HubRepository::list() {
  std::string text;
  get_text(list_url_, text);
  HubListing listing = parse_listing(text, shown(list_url_));
  if (listing.files.empty()) listing.files = list_tree(listing.commit);
  return listing;
}

std::vector<ListedFile> HubRepository::list_tree(const std::string& commit) {
  constexpr int kMaxPages = 1000;
  list_url_ =
      fmt::format("{}/api/models/{}/tree/{}?recursive=true", server_.endpoint, name_, commit);
  std::vector<ListedFile> files;
  std::string url = list_url_, text;
  for (int page = 0; page < kMaxPages; ++page) {
    const HttpAnswer answer = get_text(url, text);
    std::ranges::move(parse_tree(text, shown(url)), std::back_inserter(files));
    const std::string next = next_page(answer.head.field("link"));
    if (next.empty()) return files;
    url = redirect_target(answer.url, next);
  }
  throw Error(ErrorKind::format, fmt::format("{}: expected at most {} pages of files, got more",
                                             shown(list_url_), kMaxPages));
}

HubFile HubRepository::describe(const std::string& commit, const ListedFile& listed) {
  if (listed.size_bytes && !listed.id.empty()) return {listed.name, *listed.size_bytes, listed.id};
  const std::string what = printable(listed.name, 200);
  const HttpHead head = ask({.url = file_url(commit, listed.name),
                             .token = server_.token,
                             .method = HttpMethod::head},
                            {.is_enough = tells_file}, what)
                            .head;
  const std::string tag = head.field("x-linked-etag"), size = head.field("x-linked-size");
  const std::string id =
      listed.id.empty() ? id_of_tag(tag.empty() ? head.field("etag") : tag) : listed.id;
  if (id.empty()) throw Error(ErrorKind::format, what + ": expected an ETag, the hub sends none");
  // The length of a compressed answer is not the size of the file.
  const bool is_plain = head.field("content-encoding").empty();
  const auto size_bytes =
      listed.size_bytes ? listed.size_bytes
                        : size_in(size.empty() && is_plain ? head.field("content-length") : size);
  if (!size_bytes)
    throw Error(
        ErrorKind::format,
        what + ": expected its size in X-Linked-Size or Content-Length, the hub sends none");
  return {listed.name, *size_bytes, id};
}

std::string HubRepository::shown_list() const { return shown(list_url_); }

std::string HubRepository::file_url(const std::string& commit, const std::string& file_name) const {
  return fmt::format("{}/{}/resolve/{}/{}", server_.endpoint, name_, commit,
                     escape_path(file_name));
}

HttpAnswer ask_patiently(HttpClient& client, const HttpRequest& request,
                         const HttpReceiver& receiver, const std::string& what, const Note& note) {
  Retries retries(client.options());
  for (;;) {
    HttpAnswer answer = client.ask(request, receiver);
    std::string problem = answer.problem;
    if (problem.empty()) {
      if (!is_passing(answer.head.status)) return answer;
      problem =
          fmt::format("{} answers with status {}", shown_origin(answer.url), answer.head.status);
    }
    if (!retries.is_left())
      throw Error(ErrorKind::io,
                  fmt::format("{}: {} (tried {} times)", what, problem, Retries::kMaxTries));
    const int wait_seconds = retry_after_seconds(answer.head);
    note(fmt::format("{}: {}; {}", what, problem, retries.announcement(wait_seconds)));
    retries.wait(wait_seconds);
  }
}

void refuse_status(const HttpAnswer& answer, const HubServer& server, const std::string& what) {
  std::string reason;
  switch (answer.head.status) {
    case 401:
    case 403:
      // Only the hub decides who may read a file, and the token goes only to the hub.
      if (!(origin_of(answer.url) == origin_of(server.endpoint)))
        reason =
            fmt::format("{} redirected to it, without the token; try again later", server.endpoint);
      else if (answer.token_sent)
        reason = "the token in HF_TOKEN (or its file) gives no access to it";
      else
        reason = "it does not exist or is not public: set HF_TOKEN to a token with access to it";
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
