// A server on this machine. Its answers are exactly those that a test chooses, even wrong ones.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace bitaxon::test {

/// A request as the server received it.
struct SeenRequest {
  std::string method;                         ///< such as "GET", "HEAD" or "CONNECT"
  std::string target;                         ///< path and query, or "host:port" for CONNECT
  std::map<std::string, std::string> fields;  ///< header fields; their names are in lower case
  std::string body = {};                      ///< as long as Content-Length says
  std::string field(const std::string& name) const;
  /// The number N in the field "Range: bytes=N-". 0 if there is no such field.
  std::size_t first_byte() const;
};

/// The server's end of one connection. The connection is closed when the handler returns.
class Connection {
 public:
  /// `tls` is null for a connection without TLS.
  Connection(int fd, SSL* tls) : fd_(fd), tls_(tls) {}
  /// Sends all bytes, or stops when the client disconnects.
  void send(std::string_view bytes) const;
  /// Sends the status line, the header fields and the empty line that ends the header. Each field
  /// is a line "Name: value" that ends with CR LF.
  void send_head(int status, const std::string& fields) const;
  /// Sends a complete answer with its Content-Length.
  void answer(int status, std::string_view body, const std::string& fields = {}) const;
  /// Sends nothing and waits until the client disconnects.
  void stall() const;
  /// Connects to a server on 127.0.0.1 and passes bytes in both directions, until the client or the
  /// server disconnects.
  void tunnel_to(int port) const;

 private:
  friend class TestServer;
  long receive(char* buffer, std::size_t size) const;

  int fd_;
  SSL* tls_;
};

/// A self-signed certificate for one host, with its private key.
class TlsIdentity {
 public:
  /// `host` is "127.0.0.1" or a host name.
  explicit TlsIdentity(const std::string& host);
  const std::string& host() const { return host_; }
  /// The certificate in PEM format. Clients must trust this certificate.
  std::string certificate_pem() const;
  SSL_CTX* context() const { return context_.get(); }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  std::string host_;
  std::unique_ptr<SSL_CTX, Free> context_;
};

/// Listens on a port of its own and calls the handler for every request. Each connection carries
/// one request and has its own thread.
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
  /// Says after how many bytes of the body the server closes the connection without an answer. Set
  /// it before the first request. Empty: the server reads every body and answers.
  std::function<std::optional<std::size_t>(const SeenRequest&)> breaks_after = {};
  /// All requests that the server has received so far.
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
