// The lines that bit-axon-probe writes to stdout. The first line is kProbeStarts. Then there is one
// line before each action. The last line is kProbeDone, or kProbeFails followed by the problem.
#pragma once

#include <string_view>

namespace bitaxon::vulkan {

inline constexpr std::string_view kProbeStarts = "bit-axon-probe";
inline constexpr std::string_view kProbeCount = "\ndevices: ";
inline constexpr std::string_view kProbeDone = "done";
inline constexpr std::string_view kProbeFails = "it fails: ";

}  // namespace bitaxon::vulkan
