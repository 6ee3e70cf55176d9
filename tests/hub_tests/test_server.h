// A server on this machine that answers exactly as a test says, also as no server should.
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

/// What came over a connection.
struct SeenRequest {
  std::string method;                         ///< "GET", "HEAD" or "CONNECT"
  std::string target;                         ///< "/path?query"; of CONNECT "host:port"
  std::map<std::string, std::string> fields;  ///< names in lower case
  std::string field(const std::string& name) const;
  /// N of "Range: bytes=N-"; 0 without one.
  std::size_t first_byte() const;
};

/// The server's end of one connection, closed when the handler returns.
class Connection {
 public:
  /// `tls` may be null: none.
  Connection(int fd, SSL* tls) : fd_(fd), tls_(tls) {}
  /// Sends all of it, or as much as the client takes before it goes.
  void send(std::string_view bytes) const;
  /// Status line, these header fields ("Name: value\r\n" each) and the end of the header.
  void send_head(int status, const std::string& fields) const;
  /// A whole answer with its length.
  void answer(int status, std::string_view body, const std::string& fields = {}) const;
  /// Sends nothing until the client goes.
  void stall() const;
  /// Passes bytes to and from a server on 127.0.0.1, until one of the two ends.
  void tunnel_to(int port) const;

 private:
  friend class TestServer;
  long receive(char* buffer, std::size_t size) const;

  int fd_;
  SSL* tls_;
};

/// A certificate for one host that signs itself, and its key.
class TlsIdentity {
 public:
  /// `host`: "127.0.0.1" or a name
  explicit TlsIdentity(const std::string& host);
  const std::string& host() const { return host_; }
  /// What has to be trusted by those who ask.
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
  /// `identity`: speaks TLS; may be null, else outlives the server.
  explicit TestServer(Handler handler, const TlsIdentity* identity = nullptr);
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer();

  /// "http://127.0.0.1:PORT", or with https and the host of the identity
  std::string url() const;
  int port() const { return port_; }
  /// All so far.
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
