#include "bitaxon/c/bitaxon.h"
#include "bitaxon/devices.h"
#include "c_abi/handles.h"
#include "c_abi/log.h"
#include "formats/json.h"
#include "platform/build_info.h"

using namespace bitaxon::c;

namespace {

constexpr const char* kStatusNames[] = {"OK",   "INVALID_ARGUMENT", "UNSUPPORTED", "FORMAT",
                                        "IO",   "DEVICE",           "INTERNAL",    "OUT_OF_MEMORY",
                                        "BUSY", "INTERRUPTED",      "TIMEOUT",     "END"};
static_assert(std::size(kStatusNames) == BITAXON_STATUS_END + 1);

}  // namespace

uint32_t bitaxon_abi_version(void) { return BITAXON_ABI_VERSION; }

const char* bitaxon_version_string(void) {
  static const std::string version(bitaxon::build_info().version);
  return version.c_str();
}

bitaxon_status bitaxon_build_info(bitaxon_buffer* json) {
  return guard([&] {
    not_null(json, "json");
    const bitaxon::BuildInfo& build = bitaxon::build_info();
    const bitaxon::Json info = {
        {"version", build.version},           {"commit", build.commit},
        {"compiler", build.compiler},         {"build_type", build.build_type},
        {"abi_version", BITAXON_ABI_VERSION}, {"backends", bitaxon::built_backends()}};
    fill(json, info.dump());
  });
}

const char* bitaxon_status_name(bitaxon_status status) {
  if (status < 0 || status > BITAXON_STATUS_END) return "UNKNOWN";
  return kStatusNames[status];
}

const char* bitaxon_last_error(void) { return error_text(); }

bitaxon_status bitaxon_set_log(bitaxon_log_fn log, void* user) {
  return guard([&] { set_log(log, user); });
}
