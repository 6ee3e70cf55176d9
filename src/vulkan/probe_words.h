// What bit-axon-probe writes to stdout: the first line when it starts, then a line for each thing
// that it does next. The last line says that all is done, or what went wrong.
#pragma once

#include <string_view>

namespace bitaxon::vulkan {

inline constexpr std::string_view kProbeStarts = "bit-axon-probe";
inline constexpr std::string_view kProbeCount = "\ndevices: ";
inline constexpr std::string_view kProbeDone = "done";
inline constexpr std::string_view kProbeFails = "it fails: ";

}  // namespace bitaxon::vulkan
