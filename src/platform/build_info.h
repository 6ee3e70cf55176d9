// The version, commit and compiler of this build, for --version and for reports.
#pragma once

#include <string_view>

namespace bitaxon {

struct BuildInfo {
  std::string_view version;  ///< "0.1.0"
  std::string_view commit;   ///< "1a2b3c4", with "-dirty" for an edited tree; "unknown" without git
  std::string_view build_type;  ///< "Release"; empty when none was chosen
  std::string_view compiler;    ///< "gcc 12.2.0", "clang 14.0.6"
};

const BuildInfo& build_info();

}  // namespace bitaxon
