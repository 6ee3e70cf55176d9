// Addresses, taken apart by the same parser that the transfer uses, and which of them are used.
#pragma once

#include <string>
#include <string_view>

namespace bitaxon::hub {

/// Scheme, host and port: what a secret is entrusted to.
struct Origin {
  std::string scheme, host, port;
  bool operator==(const Origin&) const = default;
};

/// Throws Error(format): no address, or one with a user or a password.
Origin origin_of(const std::string& url);
/// 127.0.0.0/8, ::1, localhost.
bool is_loopback(const std::string& host);
/// Why nothing is fetched from there; empty for https anywhere and http on this machine.
std::string origin_problem(const Origin& origin);
/// `location`, which may be relative, as seen from `url`. Throws Error(format) when it is none, and
/// Error(io) when nothing is fetched from there, or when it leads from https to http: no server of
/// the network has a say in what this machine's own are asked.
std::string redirect_target(const std::string& url, const std::string& location);

/// One segment of a path: all but letters, digits and "-._~" as %XX.
std::string escape(std::string_view segment);
/// As escape, but the slashes stay.
std::string escape_path(std::string_view path);
/// For messages: without the query, which may hold a signature.
std::string shown(const std::string& url);
/// For messages: scheme, host and port. Throws as origin_of.
std::string shown_origin(const std::string& url);

}  // namespace bitaxon::hub
