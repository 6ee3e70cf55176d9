// Reading the prompts of commands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "session.h"

namespace bitaxon::tool {

/// The most bytes of a text from stdin or a file.
inline constexpr std::uint64_t kMaxTextBytes = std::uint64_t{4} << 30;

/// Reads stdin to its end and removes one line end ("\n" or "\r\n"), which `echo` and editors add.
/// Throws UsageError if nothing is left.
std::string read_prompt_from_stdin();

/// The vocabulary of the session. Throws Error(io) if there is none; the message names `ids_flag`,
/// which needs no vocabulary.
const Vocabulary& needed_vocabulary(const Session& session, std::string_view ids_flag);

}  // namespace bitaxon::tool
