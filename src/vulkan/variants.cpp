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
  const auto problem_of = [&](const char* variant, std::string (*test)(Backend&)) {
    return problem_of_variant(backend, variant, test, notes, failure);
  };
  const auto failed = [](const char* variant, const std::string& problem) {
    return fmt::format("the self-test of {} failed: {}", variant, problem);
  };
  // Takes a variant if its self-test finds no problem.
  const auto tried = [&](VariantChoice plain, const char* variant, std::string (*test)(Backend&)) {
    const std::string problem = problem_of(variant, test);
    if (problem.empty()) return VariantChoice{plain.kernels, variant, "the self-test agrees"};
    plain.reason = failed(variant, problem);
    return plain;
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
      const std::string problem = problem_of(variant.name, fast_product_problem);
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
  if (many.reason.empty() && tiles.empty())
    many.reason = has_matrix_shaders()
                      ? "no matrix units, no packed halves"
                      : "no shaders for matrix units in this build, no packed halves";
  many = choose_tiles(backend, tiles, working, many, notes, use);
  // The self-test multiplies with integer dots as long as the device has not forgotten them.
  VariantChoice dots{"affine codes, few rows", "no integer dots", "they are not fast here"};
  if (device.caps().fast_integer_dots) {
    dots = tried(dots, "integer dots", few_rows_problem);
    if (dots.variant != "integer dots") device.forget_integer_dots();
  }
  VariantChoice codes{"codes of 4 bits, few rows", "no halves", "no mixed products"};
  if (device.caps().fast_integer_dots) {
    codes.reason = "integer dots take fewer instructions";
  } else if (device.caps().mixed_products) {
    codes = tried(codes, "halves", few_rows_problem);
    if (codes.variant != "halves") device.forget_mixed_products();
  }
  return {many, dots, codes};
}

}  // namespace bitaxon::vulkan
