#include "hub/hub_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "bitaxon/error.h"
#include "hub/url.h"
#include "hub_cache/hub_cache.h"
#include "platform/file.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon::hub {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string trimmed(std::string text) {
  constexpr const char* kSpace = " \t\r\n";
  text.erase(text.find_last_not_of(kSpace) + 1);
  text.erase(0, text.find_first_not_of(kSpace));
  return text;
}

void refuse_offline(std::string_view command) {
  for (const char* name : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"})
    if (is_true_variable(name))
      throw Error(ErrorKind::unsupported, fmt::format("{}: expected {} not to be set, got \"{}\"",
                                                      command, name, variable(name)));
}

std::string find_endpoint() {
  std::string endpoint = variable("HF_ENDPOINT");
  if (endpoint.empty()) return "https://huggingface.co";
  while (endpoint.ends_with('/')) endpoint.pop_back();
  std::string problem;
  if (endpoint.find_first_of("?#") != endpoint.npos)
    problem = "expected an address without a query";
  else
    try {
      problem = origin_problem(origin_of(endpoint));
    } catch (const Error& error) {
      problem = error.what();
    }
  if (!problem.empty())
    throw Error(ErrorKind::invalid_argument, fmt::format("HF_ENDPOINT: {}", problem));
  return endpoint;
}

std::string find_token() {
  constexpr std::uint64_t kMaxBytes = 4096;
  std::string token, source;
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    source = name;
    if (token = trimmed(variable(name)); !token.empty()) break;
  }
  if (token.empty()) {
    const std::filesystem::path path = hub_token_file();
    refuse_broken_link(path);
    // A home folder that this user may not read holds no token of this user.
    std::error_code error;
    if (!std::filesystem::exists(path, error)) return {};
    token = trimmed(read_whole_file(path, kMaxBytes));
    source = printable_path(path.string());
  }
  // The token becomes a header line of the request, so a line break in it could add header lines.
  // The message does not show the token.
  if (token.size() > kMaxBytes ||
      !std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; }))
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{}: expected a token of letters, digits and signs, got something else",
                            source));
  return token;
}

}  // namespace

HubServer HubServer::from_environment(std::string_view command) {
  refuse_offline(command);
  return {find_endpoint(), find_token()};
}

}  // namespace bitaxon::hub
