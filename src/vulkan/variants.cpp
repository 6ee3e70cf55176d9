#include "vulkan/variants.h"

#include <fmt/format.h>

#include "vulkan/device/self_test.h"
#include "vulkan/device/tile_choice.h"
#include "vulkan/kernels/matrix_tile.h"

namespace bitaxon::vulkan {

std::vector<VariantChoice> choose_variants(Backend& backend, Device& device,
                                           const std::string& tiles, const PipelineCache& notes,
                                           const Failure& failure) {
  // Takes a variant if its self-test finds no problem.
  const auto tried = [&](VariantChoice plain, const char* variant, std::string (*test)(Backend&)) {
    const std::string problem = problem_of_variant(backend, variant, test, notes, failure);
    if (problem.empty()) return VariantChoice{plain.kernels, variant, "the self-test agrees"};
    plain.reason = fmt::format("the self-test of the {} failed: {}", variant, problem);
    return plain;
  };
  VariantChoice many{"products of many rows, fast", "float32", ""};
  const auto use = [&](const TileVariant& variant) {
    device.set_tiles(variant.matrix_tile, variant.float16_tiles);
  };
  std::string reason;
  const auto works = [&](const char* variant, const char* first_tiles) {
    use(tile_variant(first_tiles));
    const VariantChoice found = tried(many, variant, fast_product_problem);
    reason += (reason.empty() ? "" : "; ") +
              (found.variant == variant ? fmt::format("the self-test of the {} agrees", variant)
                                        : found.reason);
    return found.variant == variant;
  };
  if (matrix_units(device.caps()) && !works("matrix units", "matrix-64"))
    device.forget_matrix_units();
  if (device.caps().packed_halves && !works("packed halves", "float16"))
    device.forget_packed_halves();
  many.reason = reason.empty() ? "no matrix units, no packed halves" : reason;
  many = choose_tiles(backend, tiles, tile_variants(device.caps()), many, notes, use);
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
