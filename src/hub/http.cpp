#include "hub/http.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <new>
#include <string_view>

#include "bitaxon/error.h"
#include "hub/curl_library.h"
#include "hub/proxy.h"
#include "hub/retries.h"
#include "hub/url.h"
#include "platform/build_info.h"
#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

constexpr int kMaxRedirects = 10;
constexpr std::size_t kMaxHeadBytes = std::size_t{256} << 10;
constexpr std::size_t kMaxUnreadBytes = std::size_t{1} << 20;
constexpr std::size_t kRefusalBytes = std::size_t{4} << 10;
/// How much longer than usual a slow answer may take.
constexpr long kSlowAnswer = 10;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool has_body(const HttpRequest& request) {
  return request.method == HttpMethod::post || request.method == HttpMethod::put;
}

const char* name_of(HttpMethod method) {
  switch (method) {
    case HttpMethod::head:
      return "HEAD";
    case HttpMethod::post:
      return "POST";
    case HttpMethod::put:
      return "PUT";
    case HttpMethod::get:
      break;
  }
  return "GET";
}

/// The state of one transfer, shared with the callbacks that libcurl calls. An exception must not
/// pass through libcurl's C code, so it is kept here until libcurl has returned.
struct Transfer {
  const HttpRequest& request;
  const HttpReceiver& receiver;
  const HttpOptions& options;
  HttpHead head = {};
  bool head_ended = false;
  std::size_t head_bytes = 0, unread_bytes = 0;
  std::uint64_t sent_bytes = 0;
  std::string refusal = {};
  std::exception_ptr thrown = {};

  bool is_wanted() const { return head.status == 200 || head.status == 201 || head.status == 206; }

  void take_line(std::string_view line) {
    // Lines after the head of the final answer are trailers, which are ignored.
    if (head_ended) return;
    if ((head_bytes += line.size()) > kMaxHeadBytes)
      throw Error(ErrorKind::io,
                  fmt::format("{}: expected an answer with at most 256 KiB of header, got more",
                              shown(request.url)));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    if (line.starts_with("HTTP/")) {
      head = {};
      const std::size_t space = std::min(line.find(' '), line.size() - 1);
      std::from_chars(line.data() + space + 1, line.data() + line.size(), head.status);
    } else if (line.empty()) {
      head_ended = head.status >= 200;  // a status below 200 is an interim answer
      if (head_ended && is_wanted() && receiver.on_head) receiver.on_head(head);
    } else if (const std::size_t colon = line.find(':'); colon != line.npos) {
      std::string name(line.substr(0, colon));
      for (char& c : name)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      line.remove_prefix(colon + 1);
      while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
      while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
      head.fields[name] = line;
    }
  }

  void take_bytes(std::span<const std::byte> bytes) {
    if (is_wanted()) return receiver.on_bytes(bytes);
    // The body of an error or a redirect is skipped, so that the connection can be reused.
    if ((unread_bytes += bytes.size()) > kMaxUnreadBytes)
      throw Error(ErrorKind::io,
                  fmt::format("{}: expected a short answer with status {}, got more than 1 MiB",
                              shown(request.url), head.status));
    const std::size_t room = kRefusalBytes - std::min(kRefusalBytes, refusal.size());
    refusal.append(reinterpret_cast<const char*>(bytes.data()), std::min(room, bytes.size()));
  }

  /// Fills `out` with the next bytes of the body. Returns their number.
  std::size_t give_bytes(std::span<std::byte> out) {
    const auto n = static_cast<std::size_t>(
        std::min<std::uint64_t>(out.size(), request.body.size() - sent_bytes));
    request.body.read(sent_bytes, out.first(n));
    sent_bytes += n;
    if (request.body.on_sent) request.body.on_sent(sent_bytes);
    return n;
  }

  /// Calls `act`. If `act` throws, keeps the exception and returns false.
  template <class Act>
  bool guard(const Act& act) noexcept {
    try {
      act();
      return true;
    } catch (...) {
      thrown = std::current_exception();
      return false;
    }
  }
};

extern "C" std::size_t bx_hub_take_line(char* data, std::size_t, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  return transfer.guard([&] { transfer.take_line({data, size}); }) ? size : 0;
}

extern "C" std::size_t bx_hub_take_bytes(char* data, std::size_t, std::size_t size, void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  const auto bytes = std::as_bytes(std::span(data, size));
  return transfer.guard([&] { transfer.take_bytes(bytes); }) ? size : 0;
}

extern "C" std::size_t bx_hub_give_bytes(char* data, std::size_t size, std::size_t count,
                                         void* context) {
  auto& transfer = *static_cast<Transfer*>(context);
  std::size_t n = 0;
  const auto out = std::as_writable_bytes(std::span(data, size * count));
  return transfer.guard([&] { n = transfer.give_bytes(out); }) ? n : CURL_READFUNC_ABORT;
}

extern "C" int bx_hub_seek(void* context, curl_off_t offset, int origin) {
  auto& transfer = *static_cast<Transfer*>(context);
  if (origin != SEEK_SET || offset < 0) return CURL_SEEKFUNC_CANTSEEK;
  transfer.sent_bytes = static_cast<std::uint64_t>(offset);
  return CURL_SEEKFUNC_OK;
}

extern "C" int bx_hub_on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(context);
  return transfer.guard([&] { transfer.options.check_interrupted(); }) ? 0 : 1;
}

/// Header lines of a request.
class HeaderList {
 public:
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { curl_library().slist_free_all(list_); }
  void add(const std::string& line) {
    curl_slist* longer = curl_library().slist_append(list_, line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    list_ = longer;
  }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

/// Whether another try may succeed after this error.
bool may_pass(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_OUT_OF_MEMORY:
      return false;
    default:
      return true;
  }
}

}  // namespace

void HttpOptions::check_interrupted() const {
  if (interrupted != nullptr && *interrupted) throw Interrupted();
}

std::string HttpHead::field(const std::string& name) const {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string() : found->second;
}

struct HttpClient::Handle {
  const CurlLibrary& curl = curl_library();
  CURL* easy = curl.easy_init();
  std::array<char, CURL_ERROR_SIZE> words{};

  Handle() {
    if (easy == nullptr) throw std::bad_alloc();
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { curl.easy_cleanup(easy); }

  template <class Value>
  void set(CURLoption option, Value value) {
    const CURLcode code = curl.easy_setopt(easy, option, value);
    if (code != CURLE_OK)
      throw Error(ErrorKind::unsupported,
                  fmt::format("libcurl: option {}: {}", static_cast<int>(option),
                              curl.easy_strerror(code)));
  }

  void prepare(const HttpRequest& request, const HttpOptions& options, const HeaderList& headers,
               Transfer& transfer) {
    curl.easy_reset(easy);
    words[0] = '\0';
    set(CURLOPT_ERRORBUFFER, words.data());
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_HTTPHEADER, headers.get());
    const bool is_head = request.method == HttpMethod::head;
    set(CURLOPT_NOBODY, is_head ? 1L : 0L);
    if (has_body(request)) prepare_body(request, transfer);
    // Some servers send a body after the answer to HEAD. On a reused connection libcurl would read
    // that body as the next answer.
    set(CURLOPT_FORBID_REUSE, is_head ? 1L : 0L);
    // Sizes and ranges refer to the uncompressed file. The option also makes libcurl decode answers
    // that come compressed.
    set(CURLOPT_ACCEPT_ENCODING, "identity");
    // A proxy's answer to CONNECT is not the server's answer.
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(CURLOPT_USERAGENT, fmt::format("bit-axon/{}", build_info().version).c_str());
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.timeout_seconds));
    set(CURLOPT_LOW_SPEED_LIMIT, 1000L);
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.timeout_seconds) *
                                    (request.body.answer_is_slow ? kSlowAnswer : 1));
    // Requests to servers on this machine do not go through a proxy.
    if (is_loopback(origin_of(request.url).host)) set(CURLOPT_NOPROXY, "*");
    if (const std::string file = certificate_file(); !file.empty()) {
      set(CURLOPT_CAINFO, file.c_str());
      // A libcurl without support for https proxies lacks this option and does not need it.
      curl.easy_setopt(easy, CURLOPT_PROXY_CAINFO, file.c_str());
    }
    set(CURLOPT_HEADERFUNCTION, bx_hub_take_line);
    set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
    set(CURLOPT_WRITEFUNCTION, bx_hub_take_bytes);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, bx_hub_on_progress);
    set(CURLOPT_XFERINFODATA, static_cast<void*>(&transfer));
  }

  void prepare_body(const HttpRequest& request, Transfer& transfer) {
    set(CURLOPT_UPLOAD, 1L);
    set(CURLOPT_CUSTOMREQUEST, name_of(request.method));
    set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    set(CURLOPT_READFUNCTION, bx_hub_give_bytes);
    set(CURLOPT_READDATA, static_cast<void*>(&transfer));
    set(CURLOPT_SEEKFUNCTION, bx_hub_seek);
    set(CURLOPT_SEEKDATA, static_cast<void*>(&transfer));
  }

  /// The status with which a proxy refused the connection. 0 if no proxy refused it.
  long proxy_status() {
    long status = 0;
    curl.easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
    return status / 100 == 2 ? 0 : status;
  }

  /// Makes one request, without following redirects.
  HttpAnswer ask(const HttpRequest& request, const HttpOptions& options,
                 const HttpReceiver& receiver) {
    if (const std::string problem = origin_problem(origin_of(request.url)); !problem.empty())
      throw Error(ErrorKind::io, fmt::format("{}: {}", shown(request.url), problem));
    options.check_interrupted();
    HeaderList headers;
    if (!request.token.empty()) headers.add("Authorization: Bearer " + request.token);
    if (request.first_byte > 0) headers.add(fmt::format("Range: bytes={}-", request.first_byte));
    if (request.first_byte > 0 && !request.if_range.empty())
      headers.add("If-Range: " + request.if_range);
    for (const auto& [name, value] : request.fields) headers.add(name + ": " + value);
    // Without this line libcurl waits for permission to send a long body, which some servers never
    // give.
    if (has_body(request)) headers.add("Expect:");
    Transfer transfer{request, receiver, options};
    prepare(request, options, headers, transfer);
    const CURLcode code = curl.easy_perform(easy);
    if (transfer.thrown) std::rethrow_exception(transfer.thrown);
    HttpAnswer answer{.head = std::move(transfer.head),
                      .url = request.url,
                      .token_sent = !request.token.empty(),
                      .refusal = std::move(transfer.refusal)};
    if (code == CURLE_OK) return answer;
    const std::string reason =
        printable(words[0] != '\0' ? words.data() : curl.easy_strerror(code), 200);
    if (const long status = proxy_status(); status != 0) {
      const Proxy proxy = proxy_of_environment();
      answer.problem = fmt::format("the proxy {} ({}) answers with status {}: {}", proxy.url,
                                   proxy.variable, status, proxy_refusal(status));
      if (is_passing(static_cast<int>(status))) return answer;
      throw Error(ErrorKind::io, fmt::format("{}: {}", shown(request.url), answer.problem));
    }
    if (!may_pass(code))
      throw Error(ErrorKind::io, fmt::format("{}: {}", shown(request.url), reason));
    answer.problem = code == CURLE_OPERATION_TIMEDOUT ? fmt::format("no answer within {} s ({})",
                                                                    options.timeout_seconds, reason)
                                                      : reason;
    if (answer.head.status == 0) answer.problem += proxy_hint(request.url);
    return answer;
  }
};

HttpClient::HttpClient(const HttpOptions& options)
    : options_(options), handle_(std::make_unique<Handle>()) {}

HttpClient::~HttpClient() = default;

void HttpBody::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (file != nullptr) return file->read_at(first_byte + offset, out);
  const auto bytes = std::as_bytes(std::span(text));
  std::ranges::copy(bytes.subspan(static_cast<std::size_t>(first_byte + offset), out.size()),
                    out.begin());
}

HttpAnswer HttpClient::ask(HttpRequest request, const HttpReceiver& receiver) {
  const std::string asked = request.url;
  for (int n_redirects = 0; n_redirects <= kMaxRedirects; ++n_redirects) {
    HttpAnswer answer = handle_->ask(request, options_, receiver);
    const int status = answer.head.status;
    if (!answer.problem.empty() || !is_redirect(status)) return answer;
    if (has_body(request) && status != 307 && status != 308) return answer;
    if (receiver.is_enough && receiver.is_enough(answer.head)) return answer;
    const std::string location = answer.head.field("location");
    if (location.empty())
      throw Error(ErrorKind::io, fmt::format("{}: expected a Location with status {}, got none",
                                             shown(request.url), answer.head.status));
    std::string target = redirect_target(request.url, location);
    // The token is dropped at the first redirect to another origin. It is not sent again even if a
    // later redirect leads back, because that other origin chose the address.
    if (!(origin_of(target) == origin_of(request.url))) request.token.clear();
    request.url = std::move(target);
  }
  throw Error(ErrorKind::io, fmt::format("{}: expected at most {} redirects, got more",
                                         shown(asked), kMaxRedirects));
}

}  // namespace bitaxon::hub
