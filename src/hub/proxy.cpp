#include "hub/proxy.h"

#include <fmt/format.h>

#include <cstdlib>

#include "hub/url.h"
#include "platform/printable.h"

namespace bitaxon::hub {

std::string certificate_file() {
  for (const char* name : {"CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"})
    if (const char* value = std::getenv(name); value != nullptr && *value != '\0') return value;
  return {};
}

Proxy proxy_of_environment() {
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    std::string url = value;
    const std::size_t scheme = url.find("://");
    const std::size_t begin = scheme == url.npos ? 0 : scheme + 3;
    if (const std::size_t at = url.rfind('@'); at != url.npos && at >= begin)
      url.erase(begin, at + 1 - begin);
    return {name, printable(url, 200)};
  }
  return {};
}

std::string proxy_hint(const std::string& url) {
  const Proxy proxy = proxy_of_environment();
  if (proxy.url.empty() || is_loopback(origin_of(url).host)) return {};
  std::string exceptions;
  for (const char* name : {"no_proxy", "NO_PROXY"})
    if (const char* hosts = std::getenv(name); hosts != nullptr && *hosts != '\0') {
      exceptions = fmt::format(", {} is {}", name, printable(hosts, 200));
      break;
    }
  return fmt::format(" ({} is {}{})", proxy.variable, proxy.url, exceptions);
}

std::string proxy_refusal(long status) {
  switch (status) {
    case 403:
      return "it does not allow this connection";
    case 407:
      return "it expects http://USER:PASSWORD@HOST:PORT with a user that it knows";
    default:
      return "it refuses the connection";
  }
}

}  // namespace bitaxon::hub
