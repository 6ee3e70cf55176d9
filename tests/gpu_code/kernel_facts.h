// What a launch computes, as far as its figures depend on it: kernel, format of the weight, rows.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>

#include "vulkan/run/launch.h"

namespace bitaxon::gpu_code {

enum class KernelKind : std::uint8_t {
  vec,        ///< multiplies a few rows of x by a weight; each lane reads weights once
  tile,       ///< multiplies many rows of x by a weight through shared memory
  attention,  ///< multiplies queries by keys, and scores by values
  scan,       ///< the selective scan, row by row
  other,      ///< does not read a weight, or a few numbers of it
};

/// Whether the kernel's figures are about a weight.
inline bool reads_weight(KernelKind kind) {
  return kind == KernelKind::vec || kind == KernelKind::tile;
}

struct KernelFacts {
  KernelKind kind = KernelKind::other;
  /// The shader. "+norm" follows if the norm is fused into the product, "+odd" if the rows of x are
  /// not whole vec4s, and "+fast" if integer dots take two limbs of x in place of three.
  std::string kernel;
  /// Of the weight: "q4_g64", "f16", ... "_any" follows if its rows are not aligned. "mixed" if the
  /// kernel has weights of several formats, "-" if it has none. Of attention the elements of a head,
  /// as lanes hold them: "d64", with "_any" if it is not whole vec4s. Of a scan the states of a channel: "n16".
  std::string format = "-";
  std::uint32_t rows = 1;   ///< rows of x that share a weight
  std::uint32_t outs = 1;   ///< vec: outputs of one subgroup
  std::uint32_t bits = 0;   ///< of a code or an element of the weight; 0 if there is not one format
  std::uint32_t group = 0;  ///< codes that share a scale; 0 for floats
  /// attention: products with keys and values in a turn of the loop over keys, per lane
  std::uint32_t products = 0;
  bool through_shared = false;   ///< attention: keys and values go through shared memory
  std::uint32_t block_rows = 0;  ///< scan: rows of a turn of its loop
  std::uint32_t rows_ahead = 0;  ///< scan: of these, rows that are loaded at once
  std::uint32_t states = 0;      ///< scan: states of a channel
  bool has_norm = false;
  bool has_halves = false;  ///< tile: multiplies halves (shaders/lib/mat_mul_halves.glsl)
  bool has_dots = false;    ///< vec: x goes through shared memory (shaders/lib/mat_vec_dots.glsl)

  auto key() const { return std::tie(kernel, format, rows); }
};

KernelFacts facts_of(const vulkan::Launch& launch);

/// The name of a form of weights (shaders/params/types.h): "q4_g64", "nf4_g64", "bf16".
std::string form_name(std::uint32_t form);

/// The constants of a launch as text: "0=128 1=33800".
std::string constants_text(const vulkan::Launch& launch);

/// The constants without those that only change what happens to the finished sums of a product: the
/// rows that it takes, the bias and the other operand. They change neither loops nor registers much.
std::string main_constants_text(const vulkan::Launch& launch);

/// The value of a constant; 0 if the launch does not have it.
std::uint32_t constant_of(const vulkan::Launch& launch, std::uint32_t id);

}  // namespace bitaxon::gpu_code
