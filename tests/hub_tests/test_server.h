// A server on this machine that answers exactly as a test says, also as no server should.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace bitaxon::test {

/// What came over a connection.
struct SeenRequest {
  std::string target;                         ///< "/path?query"
  std::map<std::string, std::string> fields;  ///< names in lower case
  std::string field(const std::string& name) const;
  /// N of "Range: bytes=N-"; 0 without one.
  std::size_t first_byte() const;
};

/// The server's end of one connection, closed when the handler returns.
class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  /// Sends all of it, or as much as the client takes before it goes.
  void send(std::string_view bytes) const;
  /// Status line, these header fields ("Name: value\r\n" each) and the end of the header.
  void send_head(int status, const std::string& fields) const;
  /// A whole answer with its length.
  void answer(int status, std::string_view body, const std::string& fields = {}) const;
  /// Sends nothing until the client goes.
  void stall() const;

 private:
  int fd_;
};

/// Calls the handler for every request, each in a thread of its own.
class TestServer {
 public:
  using Handler = std::function<void(const Connection&, const SeenRequest&)>;
  explicit TestServer(Handler handler);
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer();

  /// "http://127.0.0.1:PORT"
  std::string url() const;
  /// All so far.
  std::vector<SeenRequest> requests() const;

 private:
  void accept_all();
  void serve(int fd);

  Handler handler_;
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
