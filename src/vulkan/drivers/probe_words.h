// The output of bit-axon-probe on stdout: first kProbeStarts, then one line before each action. The
// last line is kProbeDone, or kProbeFails with the problem.
#pragma once

#include <string_view>

namespace bitaxon::vulkan {

inline constexpr std::string_view kProbeStarts = "bit-axon-probe";
inline constexpr std::string_view kProbeCount = "\ndevices: ";
inline constexpr std::string_view kProbeDone = "done";
inline constexpr std::string_view kProbeFails = "it fails: ";

}  // namespace bitaxon::vulkan
