// The proxy and the trusted certificates that environment variables name.
#pragma once

#include <string>

namespace bitaxon::hub {

/// The file of trusted certificates, from the variables that other tools use. If it is empty, the
/// system's certificates are used.
std::string certificate_file();

/// A proxy and the variable that names it.
struct Proxy {
  std::string variable, url;
};
/// The proxy that libcurl uses for https, without user and password. Empty without a proxy.
Proxy proxy_of_environment();
/// A hint for a request without an answer: the proxy may be the cause.
std::string proxy_hint(const std::string& url);
/// Explains the status with which a proxy refuses a connection.
std::string proxy_refusal(long status);

}  // namespace bitaxon::hub
