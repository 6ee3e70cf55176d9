// Parses addresses with the parser that the transfer uses, and says which addresses are allowed.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon::hub {

/// Scheme, host and port. A token is sent to one origin only.
struct Origin {
  std::string scheme, host, port;
  bool operator==(const Origin&) const = default;
};

/// Throws Error(format) for an invalid address, and for an address with a user or a password.
Origin origin_of(const std::string& url);
/// Whether the host is in 127.0.0.0/8, ::1 or localhost.
bool is_loopback(const std::string& host);
/// Why nothing may be fetched from this origin. Empty for https on any host and for http on this
/// machine.
std::string origin_problem(const Origin& origin);
/// The address that a redirect from `url` to `location` leads to. `location` may be relative.
/// Throws Error(format) when `location` is not an address. Throws Error(io) when origin_problem()
/// forbids the target, and when a redirect leads from https to http, because a server on the
/// network must not decide what is requested from servers on this machine.
std::string redirect_target(const std::string& url, const std::string& location);

/// Escapes one segment of a path: every byte except letters, digits and "-._~" becomes %XX.
std::string escape(std::string_view segment);
/// Like escape(), but keeps slashes.
std::string escape_path(std::string_view path);
/// The address for messages, without the query, which may hold a signature.
std::string shown(const std::string& url);
/// Scheme, host and port for messages. Throws as origin_of() does.
std::string shown_origin(const std::string& url);

}  // namespace bitaxon::hub
