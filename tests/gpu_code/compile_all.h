// Compiles the pipelines of all workloads for several families, in several processes.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "gpu_code/figures.h"
#include "gpu_code/workloads.h"

namespace bitaxon::gpu_code {

/// A pipeline that some launch needs.
struct NeededPipeline {
  vulkan::Launch launch;
  KernelFacts facts;
  std::string source;  ///< the first workload that needs it, such as "op cases of linear"
};

/// The pipelines of one family, and the code of each of them.
struct FamilyCode {
  std::string family;
  std::string driver;  ///< "Mesa 22.3.6"
  std::vector<NeededPipeline> pipelines;
  std::vector<PipelineCode> codes;  ///< one for each pipeline
};

struct CompileOptions {
  std::vector<std::string> families;
  std::string filter;  ///< only pipelines whose shader's name contains this text
  std::filesystem::path shader_dir;
  /// Whether to leave out pipelines that differ from another one only as main_constants_text() says.
  bool brief = false;
  /// Whether to take only one pipeline for each row of the report, and of kernels without weights one
  /// for each workload. Used together with `brief`.
  bool quick = false;
  int jobs = 1;  ///< the most processes at a time
  /// Says of which kernels the instructions are counted, which takes time. Empty: of all. The driver
  /// itself counts registers, spills and waves of every pipeline.
  std::function<bool(const KernelFacts& facts)> is_counted = {};
};

/// The properties of each family's null hardware.
std::vector<vulkan::DeviceCaps> family_caps(const std::vector<std::string>& families);

/// Lists the pipelines of these workloads for each family, without compiling them.
std::vector<FamilyCode> list_pipelines(const CompileOptions& options,
                                       const std::vector<Workload>& workloads);

/// Compiles all listed pipelines. If the driver's compiler ends a process, the pipeline counts as
/// crashed, and another process goes on with the next one. Throws Error(device) if the driver fails
/// in another way.
void compile(std::vector<FamilyCode>& families, const CompileOptions& options);

}  // namespace bitaxon::gpu_code
