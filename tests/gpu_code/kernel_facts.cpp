#include "gpu_code/kernel_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "params/attention_rows.h"
#include "params/attn_in_vec.h"
#include "params/mat_vec.h"
#include "params/moe_down.h"
#include "params/moe_down_matrix.h"
#include "params/moe_down_tile.h"
#include "params/moe_route.h"
#include "params/moe_swiglu.h"
#include "params/moe_swiglu_matrix.h"
#include "params/moe_swiglu_tile.h"
#include "params/product_matrix.h"
#include "params/product_route.h"
#include "params/product_tile.h"
#include "params/product_vec.h"
#include "params/selective_scan.h"
#include "params/ssm_in.h"

namespace bitaxon::gpu_code {
namespace {

using vulkan::Shader;

constexpr int kNone = -1;

/// The constants of a kernel that reads a weight.
struct WeightKernel {
  Shader shader;
  KernelKind kind;
  int form, outs = kNone, rows = kNone, norm_form = kNone, x_quads = kNone, codes = kNone;
  std::array<int, 3> more_forms = {kNone, kNone, kNone};
};
constexpr WeightKernel kWeightKernels[] = {
    {.shader = Shader::product_vec,
     .kind = KernelKind::vec,
     .form = BX_PRODUCT_VEC_FORM,
     .outs = BX_PRODUCT_VEC_OUTS,
     .rows = BX_PRODUCT_VEC_ROWS,
     .norm_form = BX_PRODUCT_VEC_NORM_FORM,
     .x_quads = BX_PRODUCT_VEC_X_QUADS,
     .codes = BX_PRODUCT_VEC_CODES,
     .more_forms = {BX_PRODUCT_VEC_UP_FORM, kNone, kNone}},
    {.shader = Shader::ssm_in_vec,
     .kind = KernelKind::vec,
     .form = BX_SSM_IN_VEC_FORM,
     .outs = BX_SSM_IN_VEC_OUTS,
     .rows = BX_SSM_IN_VEC_ROWS,
     .norm_form = BX_SSM_IN_VEC_NORM_FORM,
     .codes = BX_SSM_IN_VEC_CODES},
    {.shader = Shader::attn_in_vec,
     .kind = KernelKind::vec,
     .form = BX_ATTN_IN_VEC_Q_FORM,
     .outs = BX_ATTN_IN_VEC_OUTS,
     .rows = BX_ATTN_IN_VEC_ROWS,
     .norm_form = BX_ATTN_IN_VEC_NORM_FORM,
     .codes = BX_ATTN_IN_VEC_CODES,
     .more_forms = {BX_ATTN_IN_VEC_K_FORM, BX_ATTN_IN_VEC_V_FORM, kNone}},
    {.shader = Shader::moe_swiglu,
     .kind = KernelKind::vec,
     .form = BX_MOE_SWIGLU_GATE_FORM,
     .outs = BX_MOE_SWIGLU_OUTS,
     .codes = BX_MOE_SWIGLU_CODES,
     .more_forms = {BX_MOE_SWIGLU_UP_FORM, BX_MOE_SWIGLU_SHARED_GATE_FORM,
                    BX_MOE_SWIGLU_SHARED_UP_FORM}},
    {.shader = Shader::moe_down,
     .kind = KernelKind::vec,
     .form = BX_MOE_DOWN_FORM,
     .outs = BX_MOE_DOWN_OUTS,
     .codes = BX_MOE_DOWN_CODES,
     .more_forms = {BX_MOE_DOWN_SHARED_FORM, kNone, kNone}},
    {.shader = Shader::moe_route,
     .kind = KernelKind::vec,
     .form = BX_MOE_ROUTE_FORM,
     .norm_form = BX_MOE_ROUTE_NORM_FORM,
     .more_forms = {BX_MOE_ROUTE_SHARED_FORM, kNone, kNone}},
    {.shader = Shader::product_route,
     .kind = KernelKind::vec,
     .form = BX_PRODUCT_ROUTE_FORM,
     .outs = BX_PRODUCT_ROUTE_OUTS,
     .codes = BX_PRODUCT_ROUTE_CODES},
    {.shader = Shader::product_tile,
     .kind = KernelKind::tile,
     .form = BX_PRODUCT_TILE_FORM,
     .rows = BX_PRODUCT_TILE_ROWS},
    {.shader = Shader::moe_swiglu_tile,
     .kind = KernelKind::tile,
     .form = BX_MOE_SWIGLU_TILE_GATE_FORM,
     .rows = BX_MOE_SWIGLU_TILE_ROWS,
     .more_forms = {BX_MOE_SWIGLU_TILE_UP_FORM, BX_MOE_SWIGLU_TILE_SHARED_GATE_FORM,
                    BX_MOE_SWIGLU_TILE_SHARED_UP_FORM}},
    {.shader = Shader::moe_down_tile,
     .kind = KernelKind::tile,
     .form = BX_MOE_DOWN_TILE_FORM,
     .rows = BX_MOE_DOWN_TILE_ROWS,
     .more_forms = {BX_MOE_DOWN_TILE_SHARED_FORM, kNone, kNone}},
    {.shader = Shader::product_matrix,
     .kind = KernelKind::tile,
     .form = BX_PRODUCT_MATRIX_FORM,
     .rows = BX_MATRIX_ROWS},
    {.shader = Shader::moe_swiglu_matrix,
     .kind = KernelKind::tile,
     .form = BX_MOE_SWIGLU_MATRIX_GATE_FORM,
     .rows = BX_MATRIX_ROWS,
     .more_forms = {BX_MOE_SWIGLU_MATRIX_UP_FORM, BX_MOE_SWIGLU_MATRIX_SHARED_GATE_FORM,
                    BX_MOE_SWIGLU_MATRIX_SHARED_UP_FORM}},
    {.shader = Shader::moe_down_matrix,
     .kind = KernelKind::tile,
     .form = BX_MOE_DOWN_MATRIX_FORM,
     .rows = BX_MATRIX_ROWS,
     .more_forms = {BX_MOE_DOWN_MATRIX_SHARED_FORM, kNone, kNone}}};

/// A tile of halves has the constants of the tile of floats.
Shader without_halves(Shader shader) {
  switch (shader) {
    case Shader::moe_down_tile_float16:
      return Shader::moe_down_tile;
    case Shader::moe_swiglu_tile_float16:
      return Shader::moe_swiglu_tile;
    case Shader::product_tile_float16:
      return Shader::product_tile;
    default:
      return shader;
  }
}

/// A kernel with integer dots has the constants of the kernel without them.
Shader without_dots(Shader shader) {
  switch (shader) {
    case Shader::attn_in_vec_dots:
      return Shader::attn_in_vec;
    case Shader::moe_down_dots:
      return Shader::moe_down;
    case Shader::moe_swiglu_dots:
      return Shader::moe_swiglu;
    case Shader::product_route_dots:
      return Shader::product_route;
    case Shader::product_vec_dots:
      return Shader::product_vec;
    case Shader::ssm_in_vec_dots:
      return Shader::ssm_in_vec;
    default:
      return shader;
  }
}

/// Attention by float arithmetic (shaders/attention_rows.comp, shaders/attention_split.comp).
void add_attention(const vulkan::Launch& launch, KernelFacts& facts) {
  facts.kind = KernelKind::attention;
  const std::uint32_t units = constant_of(launch, BX_ATTENTION_UNITS);  // of four elements
  facts.format = fmt::format("d{}{}", 4 * units * constant_of(launch, BX_ATTENTION_LANES),
                             constant_of(launch, BX_ATTENTION_ALIGNED) != 0 ? "" : "_any");
  // Each element of a key and of a value is multiplied once, for each query of the lane.
  facts.products = 2 * 4 * units;
  facts.through_shared = launch.shader == Shader::attention_rows;
  if (!facts.through_shared) {
    facts.products *= constant_of(launch, BX_ATTENTION_SHARED);
    return;
  }
  const std::uint32_t queries = constant_of(launch, BX_ATTENTION_ROWS_QUERIES);
  const std::uint32_t most_keys = queries * units <= 8 ? 8 : 4;  // of a step of the softmax
  facts.products *= queries * std::min(most_keys, constant_of(launch, BX_ATTENTION_ROWS_TILE_KEYS));
}

/// The selective scan (shaders/lib/selective_scan.glsl).
void add_scan(const vulkan::Launch& launch, KernelFacts& facts) {
  facts.kind = KernelKind::scan;
  facts.states = constant_of(launch, BX_SELECTIVE_SCAN_D_STATE);
  facts.format = fmt::format("n{}", facts.states);
  facts.rows_ahead = constant_of(launch, BX_SELECTIVE_SCAN_ROWS_AHEAD);
  facts.block_rows = constant_of(launch, BX_SELECTIVE_SCAN_LANES) >= 4 ? 4 : facts.rows_ahead;
}

}  // namespace

std::uint32_t constant_of(const vulkan::Launch& launch, std::uint32_t id) {
  for (const vulkan::SpecConstant& constant : launch.specialization)
    if (constant.id == id) return constant.value;
  return 0;
}

std::string constants_text(const vulkan::Launch& launch) {
  std::string text;
  for (const vulkan::SpecConstant& constant : launch.specialization)
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", constant.id, constant.value);
  return text;
}

std::string main_constants_text(const vulkan::Launch& launch) {
  constexpr std::array kVecEnd = {BX_PRODUCT_VEC_OTHER, BX_PRODUCT_VEC_SOURCE,
                                  BX_PRODUCT_VEC_HAS_BIAS};
  constexpr std::array kTileEnd = {BX_PRODUCT_TILE_OTHER, BX_PRODUCT_TILE_SOURCE,
                                   BX_PRODUCT_TILE_HAS_BIAS};
  vulkan::Launch rest;
  for (const vulkan::SpecConstant& constant : launch.specialization) {
    const auto is_in = [&](const auto& ids) {
      return std::ranges::find(ids, static_cast<int>(constant.id)) != ids.end();
    };
    if (without_dots(launch.shader) == Shader::product_vec && is_in(kVecEnd)) continue;
    if (without_halves(launch.shader) == Shader::product_tile && is_in(kTileEnd)) continue;
    rest.specialization.push_back(constant);
  }
  return constants_text(rest);
}

std::string form_name(std::uint32_t form) {
  constexpr const char* kNames[] = {"f32", "f16", "bf16", "q4", "nf4", "q8", "?", "-"};
  constexpr std::uint32_t kAligned = 1U << 8, kCodedScales = 1U << 7;
  const std::uint32_t format = form & 7U;
  std::string name = kNames[format];
  if (format == BX_FORM_ABSENT) return name;
  if (format >= BX_Q4) name += fmt::format("_g{}", form >> 9);
  if (format == BX_NF4 && (form & kCodedScales) != 0) name += "n";
  if ((form & kAligned) == 0) name += "_any";
  return name;
}

KernelFacts facts_of(const vulkan::Launch& launch) {
  KernelFacts facts;
  facts.kernel = name_of(launch.shader);
  switch (launch.shader) {
    case Shader::attention_rows:
    case Shader::attention_split:
      add_attention(launch, facts);
      return facts;
    case Shader::selective_scan:
    case Shader::selective_scan_chunk:
    case Shader::selective_scan_dt:
      add_scan(launch, facts);
      return facts;
    default:
      break;
  }
  const Shader plain = without_halves(without_dots(launch.shader));
  const auto kernel = std::ranges::find(kWeightKernels, plain, &WeightKernel::shader);
  if (kernel == std::end(kWeightKernels)) return facts;
  const auto value = [&](int id, std::uint32_t otherwise) {
    return id == kNone ? otherwise : constant_of(launch, static_cast<std::uint32_t>(id));
  };
  facts.kind = kernel->kind;
  facts.has_halves = without_halves(launch.shader) != launch.shader;
  facts.has_dots = without_dots(launch.shader) != launch.shader;
  const std::uint32_t form = value(kernel->form, BX_FORM_ABSENT);
  constexpr std::uint32_t kBits[] = {32, 16, 16, 4, 4, 8, 0, 0};
  facts.format = form_name(form);
  facts.bits = kBits[form & 7U];
  facts.group = (form & 7U) >= BX_Q4 ? form >> 9 : 0;
  const bool is_mixed = std::ranges::any_of(kernel->more_forms, [&](int id) {
    const std::uint32_t other = value(id, BX_FORM_ABSENT);
    return other != BX_FORM_ABSENT && form_name(other) != facts.format;
  });
  if (is_mixed) {
    facts.format = "mixed";
    facts.bits = facts.group = 0;
  }
  facts.rows = value(kernel->rows, 1);
  facts.outs = value(kernel->outs, 1);
  facts.has_norm = value(kernel->norm_form, BX_FORM_ABSENT) != BX_FORM_ABSENT;
  if (facts.has_norm) facts.kernel += "+norm";
  if (launch.shader == Shader::ssm_in_vec &&
      constant_of(launch, BX_SSM_IN_VEC_PARAMS_FORM) != BX_FORM_ABSENT)
    facts.kernel += "+params";
  if (value(kernel->x_quads, 1) == 0) facts.kernel += "+odd";
  if (value(kernel->codes, BX_CODES_AS_BYTES) == BX_CODES_AS_TWO_LIMBS) facts.kernel += "+fast";
  return facts;
}

}  // namespace bitaxon::gpu_code
