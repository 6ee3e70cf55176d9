// Standard input, output and error, whatever they are: blocking or not, interrupted, closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace bitaxon {

/// Call this first. A standard stream that is closed would give its descriptor to the next file
/// that is opened, which would then be read as input or overwritten by output. From now on reading
/// or writing such a stream is an error, and no file has its descriptor.
void keep_standard_descriptors() noexcept;

/// Everything on stdin. Waits where nothing is there yet. Throws Error(io) with the system's reason
/// when stdin cannot be read, and when there are more than `max_bytes`.
std::string read_standard_input(std::uint64_t max_bytes);
/// Waits at most this long for stdin; false when nothing has come. A signal ends the waiting too.
/// Throws Error(io).
bool wait_for_standard_input(int timeout_ms);
/// What is there now, at most out.size() bytes; 0 at the end. Empty when nothing is there yet.
/// Throws Error(io) with the system's reason.
std::optional<std::size_t> read_available_input(std::span<char> out);

/// Writes all of the text to stdout. Waits where there is no room yet. Throws Error(io).
void write_standard_output(std::string_view text);
/// As write_standard_output, to stderr. Text that cannot be written is dropped: there is no place
/// left to say so.
void write_standard_error(std::string_view text) noexcept;

}  // namespace bitaxon
