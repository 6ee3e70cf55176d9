// The figures of a pipeline: what its machine code costs per weight.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "gpu_code/kernel_facts.h"
#include "gpu_code/machine_code.h"

namespace bitaxon::gpu_code {

/// The code of one pipeline on one family.
struct PipelineCode {
  bool crashed = false;  ///< the driver's compiler ended the process
  std::uint32_t subgroup_size = 0;
  std::uint32_t group_size = 0;
  std::int64_t registers = 0;  ///< vector registers
  std::int64_t scalar_registers = 0;
  std::int64_t spilled = 0;  ///< vector and scalar registers that are spilled
  std::int64_t scratch_bytes = 0;
  std::int64_t shared_bytes = 0;
  std::int64_t waves = 0;  ///< subgroups that fit on a SIMD; 0: the driver does not say
  std::int64_t code_bytes = 0;
  MachineCode code = {};
};

/// Instructions that one invocation executes.
struct Executed {
  double vector = 0, scalar = 0, local = 0, memory = 0, products = 0, conversions = 0;
  /// Weights that it multiplies. Of a tile: weights times rows. Of attention: products with keys and
  /// values. Of a scan: rows. 0 if that is not known.
  double weights = 0;

  void add(const Instructions& n, double turns);
};

/// One turn of the main loop, with the turns that inner loops take meanwhile. Zeros if the code has
/// no loop.
/// vec: x comes through bindings and weights through addresses. So the bytes that a lane loads
/// through bindings tell how many columns of x a turn takes.
/// tile: a turn multiplies a slice of both factors.
/// attention: the loop over keys; if there is one for keys that all queries see, this one.
/// scan: the loop over blocks of rows, with its share of the norms of B and C.
/// other: the loop with most vector instructions.
Executed main_turn(const PipelineCode& pipeline, const KernelFacts& facts);

/// Everything that one invocation of a kernel of KernelKind::vec executes for a row of `n_cols`
/// columns. The turns of loops that load x follow from n_cols; all other instructions count once.
Executed executed_by_vec(const PipelineCode& pipeline, const KernelFacts& facts,
                         std::int64_t n_cols);

/// The figures that budgets bound, by name. A figure that does not apply is missing.
///   spilled, scratch, waves, crashes
///   loop         vec: vector instructions of the main loop per weight
///   conversions  vec: those between integers, halves and floats, of the main loop, per weight
///   all_in       vec: all vector instructions per weight at kAllInColumns columns
///   efficiency   tile and attention: products with weights, or with keys and values, per vector
///                instruction of the main loop
///   per_row      scan: vector instructions of the main loop per row of x
///   per_matrix   kernels for matrix units: other instructions, without waits, per instruction of
///                matrix units, in the loop with most of these
using Figures = std::map<std::string, double>;
Figures figures_of(const PipelineCode& pipeline, const KernelFacts& facts);

inline constexpr std::int64_t kAllInColumns = 2560;

}  // namespace bitaxon::gpu_code
