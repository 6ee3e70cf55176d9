// Standard input, output and error. They may be non-blocking, interrupted, or closed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace bitaxon {

/// Reserves the descriptors of closed standard streams. Call this before any file is opened.
/// Otherwise the next opened file would get such a descriptor, and the program would read the file
/// as input or overwrite it with output. After this call, reading or writing a closed stream is an
/// error.
void keep_standard_descriptors() noexcept;

/// Reads stdin to its end. Waits while there is no input. Throws Error(io) with the system's reason
/// when stdin cannot be read, and when the input is longer than `max_bytes`.
std::string read_standard_input(std::uint64_t max_bytes);
/// Waits at most `timeout_ms` for input on stdin. Returns false when no input has come. A signal
/// also ends the wait. Throws Error(io).
bool wait_for_standard_input(int timeout_ms);
/// Reads the available input into `out`, at most out.size() bytes. Returns the number of bytes
/// read, which is 0 at the end of the input. Empty when there is no input yet. Throws Error(io)
/// with the system's reason.
std::optional<std::size_t> read_available_input(std::span<char> out);

/// Writes all of the text to stdout, and waits while stdout is full. Throws Error(io).
void write_standard_output(std::string_view text);
/// Writes all of the text to stderr. Text that cannot be written is dropped, because there is
/// nowhere to report the failure.
void write_standard_error(std::string_view text) noexcept;

}  // namespace bitaxon
