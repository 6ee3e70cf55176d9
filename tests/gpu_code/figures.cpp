#include "gpu_code/figures.h"

#include <algorithm>
#include <cmath>

namespace bitaxon::gpu_code {
namespace {

/// shaders/lib/mat_mul.glsl: a turn of the main loop multiplies a slice of MM_DEPTH columns, in an
/// inner loop that is never unrolled and takes four columns at a time. Each invocation has
/// (rows / 8) * 8 sums.
constexpr std::int64_t kSliceColumns = 16;
constexpr std::int64_t kSliceTurns = kSliceColumns / 4;
/// shaders/lib/mat_mul_halves.glsl: slices are twice as deep, and their products are not in a loop.
constexpr std::int64_t kHalfSliceColumns = 32;

double columns_of(std::int64_t bytes_of_x, const KernelFacts& facts) {
  return static_cast<double>(bytes_of_x) / 4 / facts.rows;
}

/// Views the loops of one pipeline of KernelKind::vec.
class VecLoops {
 public:
  VecLoops(const PipelineCode& pipeline, const KernelFacts& facts)
      : loops_(pipeline.code.loops), facts_(facts) {
    if (facts.bits == 0) return;
    for (std::size_t k = 0; k < loops_.size(); ++k)
      if (multiplies(k) && !has_multiplying_parent(k)) roots_.push_back(k);
    // Another loop that reads a binding and an address, such as one over the taps of a convolution,
    // has too few products for its columns.
    std::erase_if(roots_, [&](std::size_t root) {
      const Executed its = turn(root);
      return 2 * its.products < its.weights * facts_.rows;
    });
  }

  /// The outermost loops that load weights themselves. Each multiplies rows of a weight by x.
  const std::vector<std::size_t>& roots() const { return roots_; }
  /// The columns of x that a lane takes in a turn of a root.
  double columns(std::size_t root) const {
    const Loop& loop = loops_[root];
    if (facts_.has_dots && loop.own.wide_bytes == 0) return 32.0 / facts_.bits;  // a word of codes
    if (loop.own.buffer_bytes > 0) return columns_of(loop.own.buffer_bytes, facts_);
    // Inner loops take x for the codes that this loop has loaded, 16 bytes at a time.
    return static_cast<double>(loop.own.wide_bytes) * 8 / facts_.bits / facts_.outs;
  }
  /// One turn of a root.
  Executed turn(std::size_t root) const {
    Executed sum;
    add(root, 1, columns(root), sum);
    sum.weights = columns(root) * facts_.outs;
    return sum;
  }
  bool is_inside_root(std::size_t k) const {
    for (int i = static_cast<int>(k); i >= 0; i = loops_[static_cast<std::size_t>(i)].parent)
      if (std::ranges::find(roots_, static_cast<std::size_t>(i)) != roots_.end()) return true;
    return false;
  }

 private:
  /// Whether a loop loads weights and multiplies them. A loop around it may load through addresses
  /// too, such as a codebook, but not 16 bytes at a time.
  bool multiplies(std::size_t k) const {
    const Loop& loop = loops_[k];
    // With integer dots, each sum becomes a float. x comes from shared memory. The loop that writes x
    // there reads it through a binding.
    if (facts_.has_dots)
      return loop.own.address_bytes > 0 && loop.own.buffer_bytes == 0 &&
             loop.own.conversions >= std::int64_t{facts_.outs};
    if (loop.own.address_bytes == 0 || loop.whole.buffer_bytes == 0 || columns(k) == 0)
      return false;
    return loop.own.wide_bytes > 0 || loop.whole.wide_bytes == 0;
  }
  bool has_multiplying_parent(std::size_t k) const {
    for (int i = loops_[k].parent; i >= 0; i = loops_[static_cast<std::size_t>(i)].parent)
      if (multiplies(static_cast<std::size_t>(i))) return true;
    return false;
  }
  /// Adds `turns` turns of a loop, in each of which its inner loops take `columns` columns of x.
  void add(std::size_t k, double turns, double columns, Executed& sum) const {
    const Loop& loop = loops_[k];
    sum.add(loop.own, turns);
    for (std::size_t j = 0; j < loops_.size(); ++j) {
      if (loops_[j].parent != static_cast<int>(k)) continue;
      const double its = columns_of(loops_[j].own.buffer_bytes, facts_);
      double inner = 1;
      if (its > 0 && loop.own.buffer_bytes == 0)
        inner = columns / its;
      else if (its == 0 && loops_[j].whole.buffer_bytes > 0)
        inner = runs();
      add(j, turns * inner, columns / inner, sum);
    }
  }
  /// The runs of columns with one scale in the 16 bytes that a lane loads (shaders/lib/mat_vec.glsl).
  double runs() const {
    return facts_.group > 0 && facts_.group % (128 / facts_.bits) != 0 ? 2 : 1;
  }

  const std::vector<Loop>& loops_;
  const KernelFacts& facts_;
  std::vector<std::size_t> roots_;
};

/// The root with most columns; -1 if there is no root.
int main_root(const VecLoops& loops) {
  int main = -1;
  for (const std::size_t root : loops.roots())
    if (main < 0 || loops.columns(root) > loops.columns(static_cast<std::size_t>(main)))
      main = static_cast<int>(root);
  return main;
}

Executed tile_turn(const PipelineCode& pipeline, const KernelFacts& facts) {
  const std::vector<Loop>& loops = pipeline.code.loops;
  const Loop* main = nullptr;
  for (const Loop& loop : loops)
    if (loop.own.address_bytes > 0 && (main == nullptr || loop.whole.vector > main->whole.vector))
      main = &loop;
  Executed turn;
  if (main == nullptr) return turn;
  turn.add(main->own, 1);
  for (const Loop& loop : loops) {
    if (loop.parent < 0 || &loops[static_cast<std::size_t>(loop.parent)] != main) continue;
    // Only the loop that multiplies the slices has many products.
    const bool multiplies = 2 * loop.whole.products > loop.whole.vector;
    turn.add(loop.whole, multiplies ? static_cast<double>(kSliceTurns) : 1);
  }
  const std::int64_t columns = facts.has_halves ? kHalfSliceColumns : kSliceColumns;
  turn.weights = facts.rows > 1 ? static_cast<double>(columns * facts.rows) : 0;
  return turn;
}

/// The loop over keys has all products with keys and values. It loads pages, or reads the tile from
/// shared memory. Of two such loops, the one with more instructions also asks of each key which queries
/// see it. Loops that merge sums have fewer products or load nothing.
Executed attention_turn(const PipelineCode& pipeline, const KernelFacts& facts) {
  const Loop* main = nullptr;
  for (const Loop& loop : pipeline.code.loops) {
    const Instructions& own = loop.own;
    const bool reads_keys =
        facts.through_shared ? own.local > 0 : own.buffer_bytes + own.address_bytes > 0;
    if (reads_keys && own.products >= std::int64_t{facts.products} &&
        (main == nullptr || own.vector < main->own.vector))
      main = &loop;
  }
  Executed turn;
  if (main == nullptr) return turn;
  turn.add(main->own, 1);
  turn.weights = facts.products;
  return turn;
}

/// The rows of B and C whose norms are computed together (shaders/lib/selective_scan.glsl).
std::uint32_t norm_rows(const KernelFacts& facts) {
  const std::uint32_t blocks = 2048 / (2 * facts.states * facts.block_rows);
  return std::clamp(blocks, 1U, 8U) * facts.block_rows;
}

/// A turn of a loop over blocks of rows, with the loops inside. Compilers that do not unroll the rows of
/// a block leave a loop. Other loops load norms through addresses: a lane computes the norm of B or of C
/// of a row in a turn of the outer one, and 16 states in a turn of an inner one. This happens once for
/// some blocks.
Executed block_turn(const PipelineCode& pipeline, const KernelFacts& facts, const Loop& main) {
  const std::vector<Loop>& loops = pipeline.code.loops;
  const double n_rows = norm_rows(facts);
  const double lanes = std::max(1U, pipeline.group_size);
  const double norms = std::ceil(2 * n_rows / lanes) * facts.block_rows / n_rows;
  Executed turn;
  turn.add(main.own, 1);
  for (const Loop& loop : loops) {
    if (loop.parent < 0) continue;
    const Loop& around = loops[static_cast<std::size_t>(loop.parent)];
    if (&around == &main && loop.whole.address_bytes == 0)
      turn.add(loop.whole, static_cast<double>(facts.block_rows) / facts.rows_ahead);
    else if (&around == &main)
      turn.add(loop.own, norms);
    else if (around.parent >= 0 && &loops[static_cast<std::size_t>(around.parent)] == &main)
      turn.add(loop.own, norms * std::ceil(facts.states / 16.0));
  }
  turn.weights = facts.block_rows;
  return turn;
}

/// The loop over blocks of rows loads through bindings. Loops that load through addresses multiply the
/// weight of the time step, or compute norms. Of several loops over blocks, the others compute no y, or
/// rows that are no whole block.
Executed scan_turn(const PipelineCode& pipeline, const KernelFacts& facts) {
  const auto loads_rows = [](const Loop& loop) {
    return loop.own.buffer_bytes > 0 && loop.own.address_bytes == 0;
  };
  const std::vector<Loop>& loops = pipeline.code.loops;
  Executed most;
  for (const Loop& loop : loops) {
    const bool is_inner =
        loop.parent >= 0 && loads_rows(loops[static_cast<std::size_t>(loop.parent)]);
    if (!loads_rows(loop) || is_inner) continue;
    const Executed turn = block_turn(pipeline, facts, loop);
    if (turn.vector > most.vector) most = turn;
  }
  return most;
}

/// The loop with most instructions of matrix units; null if no loop has one.
const Loop* matrix_loop(const PipelineCode& pipeline) {
  const Loop* most = nullptr;
  for (const Loop& loop : pipeline.code.loops)
    if (loop.own.matrix > (most == nullptr ? 0 : most->own.matrix)) most = &loop;
  return most;
}

}  // namespace

void Executed::add(const Instructions& n, double turns) {
  vector += turns * static_cast<double>(n.vector);
  scalar += turns * static_cast<double>(n.scalar);
  local += turns * static_cast<double>(n.local);
  memory += turns * static_cast<double>(n.memory);
  products += turns * static_cast<double>(n.products);
  conversions += turns * static_cast<double>(n.conversions);
}

Executed main_turn(const PipelineCode& pipeline, const KernelFacts& facts) {
  if (facts.kind == KernelKind::tile) return tile_turn(pipeline, facts);
  if (facts.kind == KernelKind::attention) return attention_turn(pipeline, facts);
  if (facts.kind == KernelKind::scan) return scan_turn(pipeline, facts);
  if (facts.kind == KernelKind::vec) {
    const VecLoops loops(pipeline, facts);
    const int main = main_root(loops);
    return main < 0 ? Executed{} : loops.turn(static_cast<std::size_t>(main));
  }
  Executed most;
  for (const Loop& loop : pipeline.code.loops) {
    if (static_cast<double>(loop.own.vector) <= most.vector) continue;
    most = {};
    most.add(loop.own, 1);
  }
  return most;
}

Executed executed_by_vec(const PipelineCode& pipeline, const KernelFacts& facts,
                         std::int64_t n_cols) {
  const VecLoops loops(pipeline, facts);
  Executed sum;
  sum.add(pipeline.code.outside, 1);
  const int main = main_root(loops);
  if (main < 0) return sum;
  const auto cols = static_cast<double>(n_cols);
  const double lanes = pipeline.subgroup_size;
  const double widest = loops.columns(static_cast<std::size_t>(main));
  const auto is_main = [&](std::size_t root) { return loops.columns(root) == widest; };
  // A narrower loop takes the columns that do not fill a turn of all lanes.
  const bool has_tail = !std::ranges::all_of(loops.roots(), is_main);
  const double full = cols / (lanes * widest);
  const double main_turns = has_tail ? std::floor(full) : std::ceil(full);
  for (const std::size_t root : loops.roots()) {
    const Executed turn = loops.turn(root);
    const double turns =
        is_main(root)
            ? main_turns
            : std::ceil((cols - main_turns * lanes * widest) / (lanes * loops.columns(root)));
    sum.vector += turns * turn.vector;
    sum.scalar += turns * turn.scalar;
    sum.local += turns * turn.local;
    sum.memory += turns * turn.memory;
    sum.products += turns * turn.products;
    if (is_main(root)) sum.weights += facts.outs * cols / lanes;
  }
  const std::vector<Loop>& all = pipeline.code.loops;
  for (std::size_t k = 0; k < all.size(); ++k) {
    if (loops.is_inside_root(k)) continue;
    // The loop before the weights that loads x adds the squares for the norm.
    const bool is_norm = facts.has_norm && all[k].own.buffer_bytes > 0 &&
                         all[k].whole.address_bytes == 0 &&
                         all[k].first < all[loops.roots()[0]].first;
    // With integer dots, the workgroup writes x to shared memory: a lane 8 columns of each row at a
    // time (shaders/lib/mat_vec_dots.glsl). Each 8 columns have a sum that becomes a float, so the
    // conversions of a turn tell whether it takes one row or all. Subgroups share the turns.
    if (facts.has_dots && all[k].own.local > 0 && all[k].own.conversions > 0) {
      const double rows = facts.rows / static_cast<double>(all[k].own.conversions);
      sum.add(all[k].own, cols / 8 * std::max(1.0, rows) / std::max(1U, pipeline.group_size));
      continue;
    }
    const double turns = is_norm ? std::ceil(cols / (static_cast<double>(all[k].own.buffer_bytes) /
                                                     4 * std::max(1U, pipeline.group_size)))
                                 : 1;
    sum.add(all[k].own, turns);
  }
  return sum;
}

Figures figures_of(const PipelineCode& pipeline, const KernelFacts& facts) {
  if (pipeline.crashed) return {{"crashes", 1}};
  Figures figures = {{"crashes", 0},
                     {"spilled", static_cast<double>(pipeline.spilled)},
                     {"scratch", static_cast<double>(pipeline.scratch_bytes)}};
  if (pipeline.waves > 0) figures["waves"] = static_cast<double>(pipeline.waves);
  if (const Loop* loop = matrix_loop(pipeline); loop != nullptr) {
    const std::int64_t others = loop->own.all - loop->own.waits - loop->own.matrix;
    figures["per_matrix"] = static_cast<double>(others) / static_cast<double>(loop->own.matrix);
    return figures;
  }
  const Executed turn = main_turn(pipeline, facts);
  if (turn.weights == 0) return figures;
  if (facts.kind == KernelKind::tile || facts.kind == KernelKind::attention)
    figures["efficiency"] = turn.weights / turn.vector;
  if (facts.kind == KernelKind::scan) figures["per_row"] = turn.vector / turn.weights;
  if (facts.kind == KernelKind::vec) {
    figures["loop"] = turn.vector / turn.weights;
    figures["conversions"] = turn.conversions / turn.weights;
    const Executed all = executed_by_vec(pipeline, facts, kAllInColumns);
    figures["all_in"] = all.vector / all.weights;
  }
  return figures;
}

}  // namespace bitaxon::gpu_code
