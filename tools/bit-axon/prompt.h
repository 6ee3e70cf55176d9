// Text prompts of the commands that take one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "session.h"

namespace bitaxon::tool {

/// Most bytes of a text from stdin or a file.
inline constexpr std::uint64_t kMaxTextBytes = std::uint64_t{4} << 30;

/// Everything on stdin without one line end, "\n" or "\r\n", which `echo` and editors add. Throws
/// UsageError when nothing is left.
std::string read_prompt_from_stdin();

/// Throws Error(io) when there is none, and says that `ids_flag` needs none.
const Vocabulary& needed_vocabulary(const Session& session, std::string_view ids_flag);

}  // namespace bitaxon::tool
