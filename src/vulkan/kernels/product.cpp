#include "vulkan/kernels/product.h"

#include <algorithm>

#include "bitaxon/error.h"
#include "core/assert.h"
#include "shaders/params/product_end.h"
#include "shaders/params/product_matrix.h"
#include "shaders/params/product_tile.h"
#include "shaders/params/product_vec.h"
#include "shaders/params/rms_norm.h"
#include "vulkan/kernels/form.h"
#include "vulkan/kernels/mat_vec.h"
#include "vulkan/kernels/matrix_tile.h"
#include "vulkan/kernels/tile.h"

namespace bitaxon::vulkan {
namespace {

/// The largest number of rows of x for which product_vec can keep the sums in registers. Only this
/// kernel fuses the norm into the product.
constexpr std::int64_t kMostVecRows = 16;
constexpr std::uint32_t kTileOuts = 64;
constexpr std::uint32_t kSmallTileRows = 32;

RowSpace space_of(ProductRows rows) {
  return rows == ProductRows::of_tokens ? RowSpace::rows : RowSpace::outputs;
}

/// If the number of outputs is not a multiple of 16, the product is small and always exact. One
/// such product is x_proj with 2 N + 1 outputs. One of its outputs gives the time step, which must
/// be float32-exact in both precisions.
Precision precision_of(const LaunchContext& context, const ProductArgs& args) {
  return args.n_out % 16 == 0 ? context.precision : Precision::exact;
}

std::int64_t width_of(const ProductArgs& args) {
  return args.x_width != 0 ? args.x_width : args.n_cols;
}

std::uint32_t is_present(const WeightUse& weight) { return weight.form != BX_FORM_ABSENT ? 1 : 0; }

/// The element-wise operand at the end of a product, and what happens with it.
struct Other {
  std::uint32_t use = BX_OTHER_NONE;
  std::optional<Binding> binding;
};

Other other_of(const ProductArgs& args) {
  if (args.gated) return {BX_OTHER_GATED, args.gated};
  if (args.residual) return {BX_OTHER_ADDED, args.residual};
  return {};
}

/// The bindings and the grid of one launch. They are the same for all product kernels.
Launch launch_over(const LaunchContext& context, const ProductArgs& args,
                   const ProductChoice& choice, Range rows, Range outs) {
  const std::int64_t row_bytes = args.n_out * 4;
  const Other other = other_of(args);
  Launch launch;
  launch.bindings = {context.step(), args.x,
                     other.binding ? rows_of(*other.binding, rows, row_bytes) : args.x,
                     rows_of(args.y, rows, row_bytes)};
  launch.grid[0].count = groups_for(outs.end - outs.first, choice.outs);
  launch.grid[1] = {.per = space_of(args.rows), .rows_per_group = choice.rows};
  return launch;
}

CodesChoice codes_of(const LaunchContext& context, const ProductArgs& args, std::uint32_t n_rows) {
  return codes_of_launch(context.caps, precision_of(context, args),
                         {args.weight.form, args.up.form}, n_rows);
}

/// The number of outputs per subgroup of product_vec.
std::uint32_t outs_of_product(const LaunchContext& context, const ProductArgs& args,
                              std::uint32_t rows) {
  const bool dots = codes_of(context, args, rows).dots;
  const std::uint32_t outs =
      outs_per_subgroup(context.caps, rows, {args.weight.form, args.up.form}, dots);
  if (args.up.form == BX_FORM_ABSENT) return outs;
  // The first result of a kernel with two weights stays in registers while it computes the second one.
  bool is_large = rows >= 8 && has_codes(args.up.form);
  if (has_small_lanes(context.caps)) {
    // Integer dots leave room for it, unless each block of 32 codes has a scale of its own.
    const bool has_room =
        dots && !(format_of(args.up.form) == BX_Q4 && group_of(args.up.form) < 64);
    is_large = rows >= 4 && !has_room;
  }
  return is_large ? std::min(outs, 2U) : outs;
}

Launch vec_launch(const LaunchContext& context, const ProductArgs& args,
                  const ProductChoice& choice, Range rows, Range outs) {
  const CodesChoice codes = codes_of(context, args, choice.rows);
  Launch launch = launch_over(context, args, choice, rows, outs);
  launch.shader = codes.dots ? Shader::product_vec_dots : Shader::product_vec;
  launch.specialization = {{BX_PRODUCT_VEC_GROUP_SIZE, codes.group},
                           {BX_PRODUCT_VEC_FORM, args.weight.form},
                           {BX_PRODUCT_VEC_NORM_FORM, args.norm.form},
                           {BX_PRODUCT_VEC_OTHER, other_of(args).use},
                           {BX_PRODUCT_VEC_SOURCE, static_cast<std::uint32_t>(args.rows)},
                           {BX_PRODUCT_VEC_OUTS, outs_of_product(context, args, choice.rows)},
                           {BX_PRODUCT_VEC_ROWS, choice.rows},
                           {BX_PRODUCT_VEC_HAS_BIAS, is_present(args.bias)},
                           {BX_PRODUCT_VEC_UP_FORM, args.up.form},
                           {BX_PRODUCT_VEC_X_QUADS, width_of(args) % 4 == 0 ? 1U : 0U},
                           {BX_PRODUCT_VEC_CODES, codes.codes}};
  launch.set_push(ProductVecPush{.weight = args.weight.address,
                                 .up = args.up.address,
                                 .norm = args.norm.address,
                                 .bias = args.bias.address,
                                 .weight_row = to_uint(args.weight_row),
                                 .first_out = to_uint(outs.first),
                                 .end_out = to_uint(outs.end),
                                 .n_out = to_uint(args.n_out),
                                 .n_cols = to_uint(args.n_cols),
                                 .x_width = to_uint(width_of(args)),
                                 .first_row = to_uint(rows.first),
                                 .end_row = to_uint(rows.end),
                                 .eps = args.eps});
  return launch;
}

ProductTilePush tile_params(const ProductArgs& args, Range rows, Range outs) {
  return {.weight = args.weight.address,
          .bias = args.bias.address,
          .weight_row = to_uint(args.weight_row),
          .first_out = to_uint(outs.first),
          .end_out = to_uint(outs.end),
          .n_out = to_uint(args.n_out),
          .n_cols = to_uint(args.n_cols),
          .x_width = to_uint(width_of(args)),
          .first_row = to_uint(rows.first),
          .end_row = to_uint(rows.end)};
}

Launch tile_launch(const LaunchContext& context, const ProductArgs& args,
                   const ProductChoice& choice, Range rows, Range outs) {
  Launch launch = launch_over(context, args, choice, rows, outs);
  launch.shader = choice.kernel == ProductChoice::Kernel::half_tile ? Shader::product_tile_float16
                                                                    : Shader::product_tile;
  launch.specialization = {{BX_PRODUCT_TILE_GROUP_SIZE, choice.outs},
                           {BX_PRODUCT_TILE_FORM, args.weight.form},
                           {BX_PRODUCT_TILE_OTHER, other_of(args).use},
                           {BX_PRODUCT_TILE_SOURCE, static_cast<std::uint32_t>(args.rows)},
                           {BX_PRODUCT_TILE_ROWS, choice.rows},
                           {BX_PRODUCT_TILE_HAS_BIAS, is_present(args.bias)},
                           {BX_PRODUCT_TILE_COLUMNS, columns_of(args.n_cols, width_of(args))}};
  launch.set_push(tile_params(args, rows, outs));
  return launch;
}

/// The tile of a product with matrix units. Empty if other tiles are used in place of them.
std::optional<MatrixTile> tile_of(const DeviceCaps& caps, std::int64_t n_rows) {
  const std::uint32_t most = caps.matrix_tile;
  if (most == 0) return std::nullopt;
  if (n_rows <= 32) return matrix_tile(caps, 32, 64);
  return matrix_tile(caps, n_rows <= 64 ? 64 : most, most);
}

Launch matrix_launch(const LaunchContext& context, const ProductArgs& args,
                     const ProductChoice& choice, Range rows, Range outs) {
  Launch launch = launch_over(context, args, choice, rows, outs);
  launch.shader = Shader::product_matrix;
  launch.specialization = {{BX_PRODUCT_MATRIX_FORM, args.weight.form},
                           {BX_PRODUCT_MATRIX_OTHER, other_of(args).use},
                           {BX_PRODUCT_MATRIX_SOURCE, static_cast<std::uint32_t>(args.rows)},
                           {BX_PRODUCT_MATRIX_HAS_BIAS, is_present(args.bias)}};
  const auto tile = tile_of(context.caps, args.n_rows);
  BX_ASSERT(tile.has_value(), "the choice fell on matrix units");
  set_matrix_tile(launch, *tile, args.n_cols, width_of(args));
  launch.set_push(tile_params(args, rows, outs));
  return launch;
}

Launch launch_piece(const LaunchContext& context, const ProductArgs& args,
                    const ProductChoice& choice, Range rows, Range outs) {
  switch (choice.kernel) {
    case ProductChoice::Kernel::vec:
      return vec_launch(context, args, choice, rows, outs);
    case ProductChoice::Kernel::tile:
    case ProductChoice::Kernel::half_tile:
      return tile_launch(context, args, choice, rows, outs);
    default:
      return matrix_launch(context, args, choice, rows, outs);
  }
}

/// The launch that computes only the norm: y[r, :] = n(x[s(r), :]).
Launch rms_norm_launch(const LaunchContext& context, const ProductArgs& args, const Binding& y) {
  Launch launch;
  launch.shader = Shader::rms_norm;
  launch.specialization = {{BX_RMS_NORM_GROUP_SIZE, group_size(context.caps)},
                           {BX_RMS_NORM_SOURCE, static_cast<std::uint32_t>(args.rows)}};
  launch.set_push(RmsNormPush{.norm = args.norm.address,
                              .n_cols = to_uint(args.n_cols),
                              .x_width = to_uint(width_of(args)),
                              .eps = args.eps});
  launch.bindings = {context.step(), args.x, y};
  launch.grid[0] = {.per = space_of(args.rows)};
  return launch;
}

/// Adds the launches of one product. The device may need several for a large result.
void add_pieces(const LaunchContext& context, const ProductArgs& args,
                std::vector<Launch>& launches) {
  ProductChoice choice = choose_product(context.caps, args.n_rows, precision_of(context, args));
  const bool is_vec = choice.kernel == ProductChoice::Kernel::vec;
  if (choice.kernel == ProductChoice::Kernel::half_tile &&
      spills_half_tile(context.caps, args.weight.form))
    choice.rows = kSmallTileRows;
  if (is_vec) {
    choice.rows =
        std::min(choice.rows, most_rows_at_once(context.caps, {args.weight.form, args.up.form}));
    choice.outs = subgroups_per_group(context.caps, codes_of(context, args, choice.rows).group) *
                  outs_of_product(context, args, choice.rows);
  }
  BX_ASSERT(is_vec || (args.norm.form == BX_FORM_ABSENT && args.up.form == BX_FORM_ABSENT),
            "the other kernels do not fuse the norm or a second weight");
  const std::int64_t most_rows = rows_per_binding(context.caps, args.n_rows, args.n_out * 4);
  const std::int64_t most_outs = std::int64_t{context.caps.max_group_count[0]} * choice.outs;
  for (Range rows : pieces_of(args.n_rows, most_rows))
    for (Range outs : pieces_of(args.n_out, most_outs))
      launches.push_back(launch_piece(context, args, choice, rows, outs));
}

}  // namespace

bool has_small_lanes(const DeviceCaps& caps) { return caps.lane_registers < 256; }

bool reads_weight_once(std::int64_t n_rows) { return n_rows <= kMostVecRows; }

std::uint32_t most_rows_at_once(const DeviceCaps& caps,
                                std::initializer_list<std::uint32_t> forms) {
  if (caps.few_registers) return 4;
  if (has_small_lanes(caps) && std::ranges::any_of(forms, has_codes)) return 8;
  return static_cast<std::uint32_t>(kMostVecRows);
}

std::uint32_t outs_per_subgroup(const DeviceCaps& caps, std::uint32_t rows,
                                std::initializer_list<std::uint32_t> forms, bool dots) {
  const bool codes = std::ranges::any_of(forms, has_codes);
  const bool has_few = caps.few_registers || (has_small_lanes(caps) && codes && !dots);
  if (!has_few) return rows > 8 ? 2 : 4;
  if (rows > most_rows_at_once(caps, forms)) return 1;
  return rows > 1 && codes ? 2 : 4;
}

ProductChoice choose_product(const DeviceCaps& caps, std::int64_t n_rows, Precision precision) {
  if (reads_weight_once(n_rows)) {
    const auto rows = std::min(static_cast<std::uint32_t>(n_rows), most_rows_at_once(caps, {}));
    return {ProductChoice::Kernel::vec, rows,
            subgroups_per_group(caps, group_size(caps)) * outs_per_subgroup(caps, rows, {}),
            "few rows: reading the weight once takes most of the time"};
  }
  const auto tile = precision == Precision::fast ? tile_of(caps, n_rows) : std::nullopt;
  if (tile)
    return {ProductChoice::Kernel::matrix, tile->rows, tile->outs,
            "many rows, 16 bits are enough, and there are matrix units"};
  const std::uint32_t rows = n_rows <= kSmallTileRows ? kSmallTileRows : 64;
  // On a CPU, the unrolled products of more rows take long to compile, and do not fit into registers.
  if (has_half_tiles(caps, precision))
    return {ProductChoice::Kernel::half_tile, caps.type == DeviceType::cpu ? 16 : rows,
            group_size(caps, kTileOuts),
            "many rows, 16 bits are enough, and halves are multiplied in pairs"};
  return {ProductChoice::Kernel::tile, rows, group_size(caps, kTileOuts),
          "many rows: a tile of them shares each decoded weight"};
}

ProductPlan::ProductPlan(ScratchPlan& scratch, std::int64_t n_rows, std::int64_t n_cols,
                         bool has_norm)
    : norm_first(has_norm && n_rows > kMostVecRows) {
  if (norm_first) normed = scratch.take(n_rows * n_cols);
}

std::vector<Launch> product_launches(const LaunchContext& context,
                                     std::span<const ProductArgs> products,
                                     const ProductPlan& plan) {
  std::vector<Launch> launches;
  if (plan.norm_first)
    launches.push_back(
        rms_norm_launch(context, products[0], context.scratch(plan.normed, Access::write)));
  for (const ProductArgs& product : products) {
    if (!plan.norm_first) {
      add_pieces(context, product, launches);
      continue;
    }
    ProductArgs rest = product;
    rest.x = context.scratch(plan.normed, Access::read);
    rest.x_width = 0;
    rest.norm = {};
    // rms_norm has already gathered the rows of the outputs, so the product reads row o for output
    // o.
    if (product.rows == ProductRows::select_outputs) rest.rows = ProductRows::of_outputs;
    add_pieces(context, rest, launches);
  }
  return launches;
}

std::vector<Launch> product_launches(const LaunchContext& context, const ProductArgs& args,
                                     const ProductPlan& plan) {
  return product_launches(context, std::span(&args, 1), plan);
}

}  // namespace bitaxon::vulkan
