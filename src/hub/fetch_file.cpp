#include "hub/fetch_file.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>

#include "bitaxon/error.h"
#include "hub/content_id.h"
#include "hub/retries.h"
#include "hub/url.h"
#include "hub_cache/hub_names.h"
#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

/// Thrown when the server's answer does not continue the partial file.
struct StartOver {
  std::string reason;
};

/// The header field Content-Range, "bytes FIRST-LAST/TOTAL".
struct ContentRange {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> total;  ///< empty when TOTAL is "*"
};

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::optional<ContentRange> parse_range(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  const std::size_t dash = text.find('-'), slash = text.find('/');
  if (!text.starts_with(kUnit) || dash == text.npos || slash == text.npos || slash < dash)
    return std::nullopt;
  const auto first = parse_number(text.substr(kUnit.size(), dash - kUnit.size()));
  if (!first) return std::nullopt;
  return ContentRange{*first, parse_number(text.substr(slash + 1))};
}

/// The hash function that gives the file's id. Empty when the id is not a hash that content_id()
/// computes.
std::optional<ContentHash> hash_of(const HubFile& file) {
  if (is_hex(file.id, 64)) return ContentHash::sha256;
  if (is_hex(file.id, 40)) return ContentHash::git_blob;
  return std::nullopt;
}

/// Hashes `contents` with the function that made the id of `file`. An id of 40 digits may be the
/// SHA-1 of a git blob or the SHA-1 of the contents alone. The digits do not tell which, so both
/// are tried.
std::string id_of(const File& contents, const HubFile& file, ContentHash hash,
                  const HttpOptions& options) {
  std::string id = content_id(contents, hash, options);
  if (id == file.id || hash != ContentHash::git_blob) return id;
  return content_id(contents, ContentHash::sha1, options) == file.id ? file.id : id;
}

class Fetch {
 public:
  Fetch(HttpClient& client, const HubServer& server, const std::string& url, const HubFile& file,
        PartialFile& partial, const FetchWatch& watch)
      : client_(client),
        server_(server),
        url_(url),
        file_(file),
        partial_(partial),
        watch_(watch),
        retries_(client.options()) {}

  void run() {
    if (partial_.size_bytes() > file_.size_bytes) partial_.clear();
    counted_bytes_ = partial_.size_bytes();
    for (bool done = false; !done;) {
      try {
        while (partial_.size_bytes() < file_.size_bytes) transfer();
        verify();
        done = true;
      } catch (const StartOver& why) {
        partial_.clear();
        tag_.clear();
        if (started_over_) fail(why.reason);
        started_over_ = true;
        from_zero_ = true;
        watch_.note(fmt::format("{}: {}; starting over", shown_name(), why.reason));
      }
    }
  }

 private:
  std::string shown_name() const { return printable(file_.name, 200); }
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::io, fmt::format("{}: {}", shown_name(), what));
  }
  [[noreturn]] void fail_size(const std::string& got) const {
    fail(fmt::format("expected {} bytes, the server sends {}", file_.size_bytes, got));
  }

  /// Makes one connection. Pauses if the connection fails.
  void transfer() {
    const std::uint64_t before = partial_.size_bytes();
    if (before == 0) from_zero_ = true;
    const HttpAnswer answer =
        client_.ask({.url = url_, .token = server_.token, .first_byte = before, .if_range = tag_},
                    {.on_head = [&](const HttpHead& head) { check(head, before); },
                     .on_bytes = [&](std::span<const std::byte> bytes) { take(bytes); }});
    if (partial_.size_bytes() == file_.size_bytes) return;
    std::string problem = answer.problem;
    const int status = answer.head.status;
    if (problem.empty()) {
      if (status == 416 && before > 0) throw StartOver{"the server has no such range"};
      if (status != 200 && status != 206 && !is_passing(status))
        refuse_status(answer, server_, shown_name());
      problem = is_passing(status)
                    ? fmt::format("{} answers with status {}", shown_origin(answer.url), status)
                    : "the server ends the connection";
    }
    problem += fmt::format(", at byte {} of {}", partial_.size_bytes(), file_.size_bytes);
    count_progress();
    if (!retries_.is_left())
      fail(fmt::format("{} (tried {} times; the same command continues)", problem,
                       Retries::kMaxTries));
    const int wait_seconds = retry_after_seconds(answer.head);
    watch_.note(
        fmt::format("{}: {}; {}", shown_name(), problem, retries_.announcement(wait_seconds)));
    retries_.wait(wait_seconds);
  }

  /// Resets the retries after progress, so that a connection may break any number of times if each
  /// try brings new bytes. Progress is measured from the furthest byte reached so far, because a
  /// server that ignores ranges sends the same bytes again and again.
  void count_progress() {
    constexpr std::uint64_t kProgressBytes = std::uint64_t{64} << 10;
    if (partial_.size_bytes() < counted_bytes_ + kProgressBytes) return;
    counted_bytes_ = partial_.size_bytes();
    retries_.start_over();
  }

  /// Checks that the answer begins with the first missing byte of the right file.
  void check(const HttpHead& head, std::uint64_t before) {
    const std::string tag = head.field("etag");
    // The length and the ranges of a compressed answer do not describe the file.
    const bool is_plain = head.field("content-encoding").empty();
    if (head.status == 206) {
      if (before > 0 && !is_plain) throw StartOver{"the server compresses a range"};
      const auto range = parse_range(head.field("content-range"));
      if (!range || range->first != before)
        throw StartOver{fmt::format("expected the bytes from {}, the server sends \"{}\"", before,
                                    printable(head.field("content-range")))};
      if (range->total && *range->total != file_.size_bytes)
        fail_size(std::to_string(*range->total));
      if (before > 0 && !tag_.empty() && tag != tag_)
        throw StartOver{"the file changed on the server"};
    } else {
      if (const auto size = parse_number(head.field("content-length"));
          is_plain && size && *size != file_.size_bytes)
        fail_size(std::to_string(*size));
      // The server ignored the range, or the file changed: all bytes follow, from the first.
      if (before > 0) partial_.clear();
      from_zero_ = true;
    }
    // A weak tag does not identify bytes, and the tag of a compressed answer does not identify the
    // bytes of the file.
    tag_ = is_plain && !tag.starts_with("W/") ? tag : "";
  }

  void take(std::span<const std::byte> bytes) {
    if (bytes.size() > file_.size_bytes - partial_.size_bytes()) {
      partial_.clear();
      fail_size("more");
    }
    partial_.append(bytes);
    watch_.progress(partial_.size_bytes());
  }

  void verify() {
    const auto hash = hash_of(file_);
    if (!hash)
      return watch_.note(
          fmt::format("{}: the hub has no hash of it; its size is right", shown_name()));
    const std::string id = id_of(File::open(partial_.path()), file_, *hash, client_.options());
    if (id == file_.id) return;
    const std::string problem =
        fmt::format("expected contents with {} {}, got {}",
                    *hash == ContentHash::sha256 ? "SHA-256" : "git's SHA-1", file_.id, id);
    // Bytes from an earlier run may be wrong. If this run fetched all of them, the server is wrong.
    if (!from_zero_) throw StartOver{problem};
    partial_.clear();
    fail(problem);
  }

  HttpClient& client_;
  const HubServer& server_;
  const std::string& url_;
  const HubFile& file_;
  PartialFile& partial_;
  const FetchWatch& watch_;
  Retries retries_;
  std::uint64_t counted_bytes_ = 0;  ///< size of the partial file at the last reset of the retries
  std::string tag_;                  ///< ETag of the bytes that the last connection sent
  bool from_zero_ = false;           ///< this run fetched all bytes of the partial file
  bool started_over_ = false;        ///< the file was emptied once; a second time is an error
};

}  // namespace

void fetch_file(HttpClient& client, const HubServer& server, const std::string& url,
                const HubFile& file, PartialFile& partial, const FetchWatch& watch) {
  Fetch(client, server, url, file, partial, watch).run();
}

bool has_contents(const std::filesystem::path& path, const HubFile& file,
                  const HttpOptions& options) {
  const File opened = File::open(path);
  const auto hash = hash_of(file);
  return hash && opened.size_bytes() == file.size_bytes &&
         id_of(opened, file, *hash, options) == file.id;
}

}  // namespace bitaxon::hub
