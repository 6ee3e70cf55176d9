#include "vulkan/variants.h"

#include <fmt/format.h>

#include <algorithm>

#include "vulkan/device/attempt.h"
#include "vulkan/device/self_test.h"
#include "vulkan/device/tile_choice.h"
#include "vulkan/kernels/matrix_tile.h"

namespace bitaxon::vulkan {

std::vector<VariantChoice> choose_variants(Backend& backend, Device& device,
                                           const std::string& tiles, const PipelineCache& notes,
                                           const Failure& failure) {
  const auto turn = wait_for_turn(notes);
  const auto problem_of = [&](const char* variant, const std::function<std::string()>& test) {
    return problem_of_variant(variant, test, notes, failure);
  };
  const auto failed = [](const char* variant, const std::string& problem) {
    return fmt::format("the self-test of {} failed: {}", variant, problem);
  };
  VariantChoice many{"products of many rows, fast", "float32", ""};
  const auto use = [&](const TileVariant& variant) {
    device.set_tiles(variant.matrix_tile, variant.float16_tiles);
  };
  std::vector<TileVariant> working;
  for (const TileVariant& variant : tile_variants(device.caps())) {
    // A variant that is asked for is the only one that is tried: another one may crash the driver.
    if (!tiles.empty() && variant.name != tiles) continue;
    if (variant.matrix_tile != 0 || variant.float16_tiles) {
      use(variant);
      const std::string problem =
          problem_of(variant.name, [&] { return fast_product_problem(backend); });
      many.reason += many.reason.empty() ? "" : "; ";
      many.reason += problem.empty() ? fmt::format("the self-test of {} agrees", variant.name)
                                     : failed(variant.name, problem);
      if (!problem.empty()) continue;
    }
    working.push_back(variant);
  }
  const auto any_works = [&](const auto& kind) { return std::ranges::any_of(working, kind); };
  if (!any_works(&TileVariant::matrix_tile)) device.forget_matrix_units();
  if (!any_works(&TileVariant::float16_tiles)) device.forget_packed_halves();
  if (many.reason.empty() && tiles.empty()) {
    std::string lacks = "no matrix units";
    if (!has_matrix_shaders()) lacks = "no shaders for matrix units in this build";
    const std::string& refusal = device.caps().matrix_refusal;
    if (!refusal.empty()) lacks = "no matrix units, because " + refusal;
    many.reason = fmt::format("{}, no packed halves", lacks);
  }
  many = choose_tiles(backend, tiles, working, many, notes, use);

  VariantChoice dots{"affine codes, few rows", "no integer dots", "they are not fast here"};
  VariantChoice codes{"codes of 4 bits, few rows", "no halves", "no mixed products"};
  // Takes a variant that the device has if its self-test finds no problem.
  const auto try_variant = [&](bool has, VariantChoice& choice, const char* variant,
                               const std::function<void(bool)>& use_variant) {
    if (!has) return false;
    const std::string problem =
        problem_of(variant, [&] { return few_rows_problem(backend, use_variant); });
    choice.reason = problem.empty() ? "the self-test agrees" : failed(variant, problem);
    if (problem.empty()) choice.variant = variant;
    return problem.empty();
  };
  const DeviceCaps caps = device.caps();  // a copy, because the tests change the device's
  const bool mixed = try_variant(caps.mixed_products, codes, "halves",
                                 [&](bool is_used) { device.set_few_rows(false, is_used); });
  const bool integers = try_variant(caps.fast_integer_dots, dots, "integer dots",
                                    [&](bool is_used) { device.set_few_rows(is_used, false); });
  device.set_few_rows(integers, mixed);
  if (integers && mixed) codes.reason += "; used where integer dots do not suit";
  return {many, dots, codes};
}

}  // namespace bitaxon::vulkan
