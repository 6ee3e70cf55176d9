#include "gpu_code/pipeline_code.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ranges>

#include "bitaxon/error.h"

namespace bitaxon::gpu_code {
namespace {

/// The statistic with the first name that the driver knows.
std::int64_t statistic(const DriverCode& driver, std::initializer_list<const char*> names) {
  auto found = driver.statistics.end();
  for (const char* name : names)
    if (found == driver.statistics.end()) found = driver.statistics.find(name);
  if (found == driver.statistics.end())
    throw Error(ErrorKind::device,
                fmt::format("the driver's statistics of a pipeline: expected \"{}\", got {}",
                            fmt::join(names, "\" or \""),
                            fmt::join(std::views::keys(driver.statistics), ", ")));
  return static_cast<std::int64_t>(found->second);
}

void read_amd(const DriverCode& driver, PipelineCode& code) {
  code.registers = statistic(driver, {"VGPRs"});
  code.scalar_registers = statistic(driver, {"SGPRs"});
  code.spilled = statistic(driver, {"Spilled VGPRs"}) + statistic(driver, {"Spilled SGPRs"});
  code.scratch_bytes = statistic(driver, {"Scratch size"});
  code.shared_bytes = statistic(driver, {"LDS size"});
  code.waves = statistic(driver, {"Subgroups per SIMD"});
  code.code_bytes = statistic(driver, {"Code size"});
  code.code = analyse_amd(driver.assembly);
}

/// Mesa 26 has other names for some statistics than Mesa 25.
void read_intel(const DriverCode& driver, PipelineCode& code) {
  code.registers = statistic(driver, {"Max live registers"});
  code.spilled = statistic(driver, {"Spill Count", "Spills"});
  code.scratch_bytes = statistic(driver, {"Scratch Memory Size"});
  code.shared_bytes = statistic(driver, {"Workgroup Memory Size"});
  code.code_bytes = 16 * statistic(driver, {"Instruction Count", "Instructions"});
  code.code = analyse_intel(driver.assembly);
}

/// The subgroups whose registers fit on one of the four schedulers of a multiprocessor.
std::int64_t waves_of(std::int64_t registers) {
  constexpr std::int64_t kLaneRegisters = 512, kMost = 16;
  return std::min(kMost, kLaneRegisters / std::max<std::int64_t>(8, (registers + 7) / 8 * 8));
}

void read_nvidia(const DriverCode& driver, PipelineCode& code) {
  code.registers = statistic(driver, {"Number of GPRs"});
  // The driver counts spilled bytes as local memory.
  code.scratch_bytes = statistic(driver, {"SLM Size", "SLM size"});
  code.waves = waves_of(code.registers);
  code.code_bytes = statistic(driver, {"Code Size", "Code size"});
  code.code = analyse_nvidia(driver.assembly);
}

}  // namespace

PipelineCode pipeline_code(Vendor vendor, const DriverCode& driver, const vulkan::Launch& launch) {
  PipelineCode code;
  code.subgroup_size = driver.subgroup_size;
  code.group_size = constant_of(launch, 0);
  switch (vendor) {
    case Vendor::intel:
      read_intel(driver, code);
      break;
    case Vendor::nvidia:
      read_nvidia(driver, code);
      break;
    default:
      read_amd(driver, code);
  }
  return code;
}

}  // namespace bitaxon::gpu_code
