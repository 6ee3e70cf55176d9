// One GET or HEAD over HTTP, through redirects that are followed under our own rules.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>

namespace bitaxon::hub {

/// The user has had enough. Not an Error: there is nothing to report.
struct Interrupted : std::exception {
  const char* what() const noexcept override { return "interrupted"; }
};

struct HttpOptions {
  int timeout_seconds = 30;  ///< to connect, and without a thousand bytes a second
  int first_pause_ms = 500;  ///< before the second try; each pause after it is twice as long
  const std::atomic<bool>* interrupted = nullptr;  ///< ends what is waited for; may be null
  /// Throws Interrupted when the flag is set.
  void check_interrupted() const;
};

struct HttpRequest {
  std::string url;
  std::string token = {};        ///< sent to the origin of `url`, never to another; empty: none
  std::uint64_t first_byte = 0;  ///< of the range that is asked for; 0: all
  std::string if_range = {};     ///< the tag that the range is of; empty: none
  bool head_only = false;        ///< HEAD in place of GET
};

/// Status and header fields of an answer.
struct HttpHead {
  int status = 0;
  std::map<std::string, std::string> fields = {};  ///< names in lower case; the last of a name
  std::string field(const std::string& name) const;
};

struct HttpAnswer {
  HttpHead head;             ///< of the last answer
  std::string problem = {};  ///< why the transfer broke, in which case trying again may help
  std::string url = {};      ///< what was asked last, after all redirects
  bool token_sent = false;   ///< to there
};

/// Who gets what a server sends with status 200 or 206. What they throw ends the transfer.
struct HttpReceiver {
  std::function<void(const HttpHead&)> on_head = {};  ///< before any byte
  std::function<void(std::span<const std::byte>)> on_bytes = {};
  /// Whether a redirect is itself the answer; empty: never.
  std::function<bool(const HttpHead&)> is_enough = {};
};

/// Keeps connections open between requests. For one thread.
class HttpClient {
 public:
  explicit HttpClient(const HttpOptions& options);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  const HttpOptions& options() const { return options_; }
  /// Asks for bytes as they are; what a server compresses all the same is decoded.
  /// Throws Error(io) where another try does not help: a server that cannot be trusted, a proxy
  /// that refuses, an origin that nothing is fetched from, too many redirects. Throws Interrupted.
  HttpAnswer get(HttpRequest request, const HttpReceiver& receiver);

 private:
  struct Handle;

  HttpOptions options_;
  std::unique_ptr<Handle> handle_;
};

}  // namespace bitaxon::hub
