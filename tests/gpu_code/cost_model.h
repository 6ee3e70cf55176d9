// Predicts the time of each kernel of a step on a device that is not there, from the instructions of
// its machine code, the bytes it moves and a description of the device.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/json.h"
#include "gpu_code/compile_all.h"

namespace bitaxon::gpu_code {

/// A device, as bench/devices/*.json describe it.
struct DeviceDescription {
  std::string name, vendor;
  std::string code;             ///< the family whose machine code stands for that of the device
  std::uint32_t subgroup = 64;  ///< lanes of a subgroup
  double units = 0;             ///< compute units, multiprocessors or Xe cores
  double lanes_per_clock = 0;   ///< vector instructions of one lane that a unit starts in a clock
  double local_per_clock = 0;   ///< words that a unit reads from shared memory in a clock
  double clock_ghz = 0;
  double bandwidth_gb_s = 0;
  double matrix_tflops = 0;  ///< of the matrix units that this program uses; 0 without
  double launch_us = 0;      ///< from the end of a dispatch to the start of one that waits for it
  double issue_share = 0;    ///< shares of the peak rates that kernels reach
  double bandwidth_share = 0;
  struct Measurement {
    std::string step;  ///< "decode" or "prefill"
    double ms = 0;
    std::string source;
  };
  std::vector<Measurement> measured;
};

/// Reads a description. Throws Error(format) that names the field.
DeviceDescription read_device(const std::filesystem::path& path);
DeviceDescription parse_device(const std::string& text, const std::string& name);

/// A kernel of a step, with all its launches together.
struct PredictedKernel {
  std::string label;  ///< "linear: product_vec+norm q4_g64"
  int launches = 0;
  double bytes = 0, flops = 0;
  double vector_us = 0, local_us = 0, memory_us = 0, matrix_us = 0, launch_us = 0;
  double us = 0;      ///< launches, and for each the slowest of the others
  std::string binds;  ///< what takes most of its time: "memory", "vector", ...
};

struct Prediction {
  std::string step;  ///< "decode" or "prefill"
  std::int64_t n_rows = 1;
  std::vector<PredictedKernel> kernels;  ///< the slowest first
  double us() const;
};

/// `codes` are those of the pipelines of `launches`, in order.
Prediction predict(const DeviceDescription& device, const std::string& step, std::int64_t n_rows,
                   const std::vector<StepLaunch>& launches, const std::vector<PipelineCode>& codes);

struct StepOptions {
  std::string preset = "default";
  std::string quantize = "mlx";  ///< layout of the codes: "mlx" or "nf4"; "none" for float16
  std::int64_t prefill = 512;    ///< rows of the prefill
  std::int64_t depth = 512;      ///< tokens before the decoded one
  std::filesystem::path shader_dir;
  int jobs = 1;
};

/// Predicts a decode step and a prefill step of a model of a preset, in fast precision.
std::vector<Prediction> predict_steps(const DeviceDescription& device, const StepOptions& options);

std::string prediction_text(const DeviceDescription& device,
                            const std::vector<Prediction>& predictions);
Json prediction_json(const DeviceDescription& device, const std::vector<Prediction>& predictions);

}  // namespace bitaxon::gpu_code
