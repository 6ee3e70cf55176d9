#include "platform/build_info.h"

#include "platform/build_constants.h"  // generated

#define BX_STRING_OF(x) #x
#define BX_STRING(x) BX_STRING_OF(x)

namespace bitaxon {
namespace {

#if defined(__clang__)
constexpr std::string_view kCompiler = "clang " BX_STRING(__clang_major__) "." BX_STRING(
    __clang_minor__) "." BX_STRING(__clang_patchlevel__);
#elif defined(__GNUC__)
constexpr std::string_view kCompiler =
    "gcc " BX_STRING(__GNUC__) "." BX_STRING(__GNUC_MINOR__) "." BX_STRING(__GNUC_PATCHLEVEL__);
#else
constexpr std::string_view kCompiler = "unknown compiler";
#endif

}  // namespace

const BuildInfo& build_info() {
  static constexpr BuildInfo kInfo{kVersion, kCommit, kBuildType, kCompiler};
  return kInfo;
}

}  // namespace bitaxon
