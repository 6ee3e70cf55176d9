// HTTP requests. HttpClient follows redirects itself instead of leaving them to
// libcurl, because a token must not go to another origin.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "platform/file.h"

namespace bitaxon::hub {

/// Thrown when the user interrupts the program. It is not an Error, because there is nothing to
/// report.
struct Interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

struct HttpOptions {
  int timeout_seconds = 30;  ///< longest time to connect, and to be below 1000 bytes per second
  int first_pause_ms = 500;  ///< pause before the second try; it doubles with each later try
  const std::atomic<bool>* interrupted = nullptr;  ///< flag that ends any waiting; may be null
  /// Throws Interrupted when the flag is set.
  void check_interrupted() const;
};

enum class HttpMethod : std::uint8_t { get, head, post, put };

/// What a POST or a PUT sends: a text, or a part of a file. Both must outlive the request.
struct HttpBody {
  std::string_view text = {};
  const File* file = nullptr;    ///< if set, `text` is not sent
  std::uint64_t first_byte = 0;  ///< where the part of the file (or of the text) begins
  std::uint64_t size_bytes = 0;  ///< of the part; for a text, 0 stands for the whole
  /// Gets the number of bytes on their way. It falls back when bytes have to be sent again.
  std::function<void(std::uint64_t sent_bytes)> on_sent = {};
  bool answer_is_slow = false;  ///< whether the server may work for minutes before it answers

  std::uint64_t size() const {
    return file == nullptr && size_bytes == 0 ? text.size() : size_bytes;
  }
  void read(std::uint64_t offset, std::span<std::byte> out) const;
};

struct HttpRequest {
  std::string url;
  std::string token = {};        ///< sent only to the origin of `url`; empty for no token
  std::uint64_t first_byte = 0;  ///< where the requested range begins; 0 for the whole file
  std::string if_range = {};     ///< ETag of the file that the range continues; may be empty
  HttpMethod method = HttpMethod::get;
  std::map<std::string, std::string> fields = {};  ///< further header fields
  HttpBody body = {};                              ///< for POST and PUT
};

/// Status and header fields of an answer.
struct HttpHead {
  int status = 0;
  /// Header fields by name, in lower case. If a name appears twice, the last field counts.
  std::map<std::string, std::string> fields = {};
  std::string field(const std::string& name) const;
};

struct HttpAnswer {
  HttpHead head;             ///< status and header fields of the last answer
  std::string problem = {};  ///< why the transfer broke, so that another try may help; else empty
  std::string url = {};      ///< address of the last request, after all redirects
  bool token_sent = false;   ///< whether the last request carried the token
  std::string refusal = {};  ///< how the body begins if its status is none of success
};

/// Callbacks for answers with status 200, 201 or 206. An exception from a callback ends the transfer.
struct HttpReceiver {
  std::function<void(const HttpHead&)> on_head = {};  ///< called before the first on_bytes()
  std::function<void(std::span<const std::byte>)> on_bytes = {};
  /// Whether the header of a redirect already says enough. Such a redirect is not followed. If this
  /// function is empty, every redirect is followed.
  std::function<bool(const HttpHead&)> is_enough = {};
};

/// Keeps connections open between requests. Not thread-safe.
class HttpClient {
 public:
  explicit HttpClient(const HttpOptions& options);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  const HttpOptions& options() const { return options_; }
  /// Makes a request and follows its redirects. Asks for uncompressed bytes, and decodes answers
  /// that a server compresses anyway. Throws Error(io) when another try cannot help: for an
  /// untrusted server, a proxy that refuses, an origin that origin_problem() forbids, and too many
  /// redirects. Throws Interrupted.
  /// A redirect of a POST or a PUT is followed only if it asks for the same request again (307, 308).
  HttpAnswer ask(HttpRequest request, const HttpReceiver& receiver);

 private:
  struct Handle;

  HttpOptions options_;
  std::unique_ptr<Handle> handle_;
};

}  // namespace bitaxon::hub
