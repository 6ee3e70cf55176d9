// A server on this machine that answers exactly as a test says, even in ways that are wrong.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace bitaxon::test {

/// A request that the server received.
struct SeenRequest {
  std::string method;                         ///< "GET", "HEAD" or "CONNECT"
  std::string target;                         ///< "/path?query", or "host:port" for CONNECT
  std::map<std::string, std::string> fields;  ///< names in lower case
  std::string field(const std::string& name) const;
  /// N of "Range: bytes=N-". 0 without this field.
  std::size_t first_byte() const;
};

/// The server's end of one connection. It is closed when the handler returns.
class Connection {
 public:
  /// `tls` is null for a connection without TLS.
  Connection(int fd, SSL* tls) : fd_(fd), tls_(tls) {}
  /// Sends all bytes, or stops when the client disconnects.
  void send(std::string_view bytes) const;
  /// Sends the status line, these header fields ("Name: value\r\n" each) and the end of the header.
  void send_head(int status, const std::string& fields) const;
  /// Sends a complete answer with its Content-Length.
  void answer(int status, std::string_view body, const std::string& fields = {}) const;
  /// Sends nothing until the client disconnects.
  void stall() const;
  /// Passes bytes to and from a server on 127.0.0.1, until the client or the server disconnects.
  void tunnel_to(int port) const;

 private:
  friend class TestServer;
  long receive(char* buffer, std::size_t size) const;

  int fd_;
  SSL* tls_;
};

/// A self-signed certificate for one host, and its key.
class TlsIdentity {
 public:
  /// `host` is "127.0.0.1" or a name.
  explicit TlsIdentity(const std::string& host);
  const std::string& host() const { return host_; }
  /// The certificate that clients have to trust.
  std::string certificate_pem() const;
  SSL_CTX* context() const { return context_.get(); }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  std::string host_;
  std::unique_ptr<SSL_CTX, Free> context_;
};

/// Calls the handler for every request, each in a thread of its own.
class TestServer {
 public:
  using Handler = std::function<void(const Connection&, const SeenRequest&)>;
  /// `identity` is null for a server without TLS. Otherwise it must outlive the server.
  explicit TestServer(Handler handler, const TlsIdentity* identity = nullptr);
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer();

  /// "http://127.0.0.1:PORT", or "https://HOST:PORT" with TLS and the host of the identity.
  std::string url() const;
  int port() const { return port_; }
  /// All requests so far.
  std::vector<SeenRequest> requests() const;

 private:
  void accept_all();
  void serve(int fd);
  void answer(const Connection& connection);

  Handler handler_;
  const TlsIdentity* identity_;
  int listening_ = -1;
  int port_ = 0;
  std::atomic<bool> ending_{false};
  mutable std::mutex mutex_;
  std::vector<SeenRequest> requests_;
  std::vector<int> open_;
  std::list<std::thread> threads_;
  std::thread accepting_;
};

}  // namespace bitaxon::test
