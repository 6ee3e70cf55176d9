#include "hub/url.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>

#include "bitaxon/error.h"
#include "hub/curl_library.h"
#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

struct Cleanup {
  void operator()(CURLU* url) const { curl_library().url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, Cleanup>;

Url new_url() {
  Url url(curl_library().url());
  if (!url) throw std::bad_alloc();
  return url;
}

void set(const Url& url, const std::string& text) {
  // CURLU_NON_SUPPORT_SCHEME is not set: a scheme that libcurl cannot fetch is an error here.
  if (text.find('\0') != text.npos ||
      curl_library().url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
    throw Error(ErrorKind::format, fmt::format("{}: expected the address of an https server",
                                               printable(shown(text), 200)));
}

/// One component of an address. Empty when the address does not have this component.
std::string part(const Url& url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_library().url_get(url.get(), which, &text, flags) != CURLUE_OK) return {};
  std::string copy = text;
  curl_library().free(text);
  return copy;
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return text;
}

Origin origin_of(const Url& url, const std::string& text) {
  if (!part(url, CURLUPART_USER).empty() || !part(url, CURLUPART_PASSWORD).empty())
    throw Error(ErrorKind::format, "expected an address without user and password, got one");
  Origin origin{lower_case(part(url, CURLUPART_SCHEME)), lower_case(part(url, CURLUPART_HOST)),
                part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT)};
  if (origin.host.empty())
    throw Error(ErrorKind::format,
                fmt::format("{}: expected an address with a host", printable(shown(text), 200)));
  return origin;
}

}  // namespace

Origin origin_of(const std::string& url) {
  const Url parsed = new_url();
  set(parsed, url);
  return origin_of(parsed, url);
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  in_addr v4{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return false;
  in6_addr v6{};
  return ::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6) == 1 &&
         IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string origin_problem(const Origin& origin) {
  if (origin.scheme == "https" || (origin.scheme == "http" && is_loopback(origin.host))) return {};
  return fmt::format("expected https:// (http:// only for this machine), got {}://{}",
                     printable(origin.scheme), printable(origin.host));
}

std::string redirect_target(const std::string& url, const std::string& location) {
  const auto fail = [&](ErrorKind kind, const std::string& problem) {
    throw Error(kind, fmt::format("redirect from {}: {}", shown(url), problem));
  };
  const Url parsed = new_url();
  set(parsed, url);
  const Origin from = origin_of(parsed, url);
  std::string target;
  Origin to;
  try {
    set(parsed, location);  // relative to the address in `parsed`
    target = part(parsed, CURLUPART_URL);
    to = origin_of(parsed, target);
  } catch (const Error& error) {
    fail(error.kind(), error.what());
  }
  if (const std::string problem = origin_problem(to); !problem.empty())
    fail(ErrorKind::io, problem);
  if (from.scheme == "https" && to.scheme != "https")
    fail(ErrorKind::io, fmt::format("expected https://, got {}", shown_origin(target)));
  return target;
}

std::string escape(std::string_view segment) {
  std::string escaped;
  for (const char c : segment) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    escaped += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return escaped;
}

std::string escape_path(std::string_view path) {
  std::string escaped;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (begin > 0) escaped += '/';
    escaped += escape(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return escaped;
}

std::string shown(const std::string& url) { return printable(url.substr(0, url.find('?')), 400); }

std::string shown_origin(const std::string& url) {
  const Origin origin = origin_of(url);
  const bool is_usual = origin.port == (origin.scheme == "https" ? "443" : "80");
  return printable(fmt::format("{}://{}{}{}", origin.scheme, origin.host, is_usual ? "" : ":",
                               is_usual ? "" : origin.port),
                   400);
}

}  // namespace bitaxon::hub
