#include "test_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <sstream>
#include <stdexcept>

namespace bitaxon::test {
namespace {

SeenRequest parse(const std::string& head) {
  SeenRequest request;
  std::istringstream lines(head);
  std::string line;
  lines >> request.method >> request.target;
  std::getline(lines, line);
  while (std::getline(lines, line) && line != "\r") {
    const std::size_t colon = line.find(':');
    if (colon == line.npos) continue;
    std::string name = line.substr(0, colon);
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    request.fields[name] = line.substr(colon + 2, line.find('\r') - colon - 2);
  }
  return request;
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

std::string SeenRequest::field(const std::string& name) const {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string() : found->second;
}

std::size_t SeenRequest::first_byte() const {
  const std::string range = field("range");
  return range.empty() ? 0 : std::stoull(range.substr(std::string("bytes=").size()));
}

void Connection::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const auto put = tls_ != nullptr ? SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                                     : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
}

long Connection::receive(char* buffer, std::size_t size) const {
  return tls_ != nullptr ? SSL_read(tls_, buffer, static_cast<int>(size))
                         : ::recv(fd_, buffer, size, 0);
}

void Connection::send_head(int status, const std::string& fields) const {
  send(fmt::format("HTTP/1.1 {} Something\r\nConnection: close\r\n{}\r\n", status, fields));
}

void Connection::answer(int status, std::string_view body, const std::string& fields) const {
  send_head(status, fmt::format("Content-Length: {}\r\n{}", body.size(), fields));
  send(body);
}

void Connection::stall() const {
  std::array<char, 64> buffer;
  while (receive(buffer.data(), buffer.size()) > 0) {
  }
}

void Connection::tunnel_to(int port) const {
  const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  const auto* any = reinterpret_cast<const sockaddr*>(&address);
  bool open = ::connect(other, any, sizeof(address)) == 0;
  while (open) {
    std::array<pollfd, 2> both{pollfd{fd_, POLLIN, 0}, pollfd{other, POLLIN, 0}};
    open = ::poll(both.data(), both.size(), -1) > 0;
    for (std::size_t from = 0; open && from < both.size(); ++from) {
      if (both[from].revents == 0) continue;
      std::array<char, 65536> buffer;
      const ssize_t got = ::recv(both[from].fd, buffer.data(), buffer.size(), 0);
      open = got > 0;
      if (open) Connection(both[1 - from].fd, nullptr).send({buffer.data(), std::size_t(got)});
    }
  }
  ::close(other);
}

TestServer::TestServer(Handler handler, const TlsIdentity* identity)
    : handler_(std::move(handler)), identity_(identity) {
  ::signal(SIGPIPE, SIG_IGN);  // libssl writes without MSG_NOSIGNAL, so SIGPIPE would end the tests
  listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  if (listening_ < 0 || ::bind(listening_, any, size) != 0 || ::listen(listening_, 16) != 0 ||
      ::getsockname(listening_, any, &size) != 0)
    throw std::runtime_error("cannot listen on 127.0.0.1");
  port_ = ntohs(address.sin_port);
  accepting_ = std::thread([this] { accept_all(); });
}

TestServer::~TestServer() {
  ending_ = true;
  ::shutdown(listening_, SHUT_RDWR);
  accepting_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  ::close(listening_);
}

std::string TestServer::url() const {
  if (identity_ == nullptr) return fmt::format("http://127.0.0.1:{}", port_);
  return fmt::format("https://{}:{}", identity_->host(), port_);
}

std::vector<SeenRequest> TestServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void TestServer::accept_all() {
  while (!ending_) {
    const int fd = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    // Without this option, a body that follows its header waits 40 ms for the client's delayed
    // acknowledgement.
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd] { serve(fd); });
  }
}

void TestServer::serve(int fd) {
  if (identity_ == nullptr) {
    answer(Connection(fd, nullptr));
  } else {
    SSL* tls = SSL_new(identity_->context());
    SSL_set_fd(tls, fd);
    if (SSL_accept(tls) == 1) {
      answer(Connection(fd, tls));
      SSL_shutdown(tls);
    }
    SSL_free(tls);
  }
  const std::lock_guard lock(mutex_);
  open_.erase(std::find(open_.begin(), open_.end(), fd));
  ::close(fd);
}

void TestServer::answer(const Connection& connection) {
  std::string head;
  std::array<char, 4096> buffer;
  while (head.find("\r\n\r\n") == head.npos) {
    const long got = connection.receive(buffer.data(), buffer.size());
    if (got <= 0) return;
    head.append(buffer.data(), static_cast<std::size_t>(got));
  }
  SeenRequest request = parse(head);
  const std::string length = request.field("content-length");
  std::size_t size = length.empty() ? 0 : std::stoull(length);
  const auto breaks = breaks_after ? breaks_after(request) : std::nullopt;
  if (breaks) size = std::min(size, *breaks);
  request.body = head.substr(head.find("\r\n\r\n") + 4);
  while (request.body.size() < size) {
    const long got = connection.receive(buffer.data(), buffer.size());
    if (got <= 0) return;
    request.body.append(buffer.data(), static_cast<std::size_t>(got));
  }
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  if (!breaks) handler_(connection, request);
}

}  // namespace bitaxon::test
