#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cases/errors.h"
#include "core/half.h"

namespace bitaxon::test {
namespace {

struct Spec {
  DType dtype = DType::f32;  ///< of keys and values
  std::int64_t n_heads = 4;
  std::int64_t group = 1;  ///< heads of queries that share a head of keys
  std::int64_t head_dim = 8;
  std::int64_t window = 16;  ///< 0: none
  std::vector<CaseSegment> segments = one_segment(5, 3);
  std::int64_t capacity = 0;  ///< rows in the bucket; 0: a bucket with at least one spare row
  double q_spread = 1;
  double value_spread = 1;
  /// The position in the first segment whose key begins with a NaN, and the position whose value
  /// begins with a NaN. -1: no position.
  std::int64_t nan_key = -1;
  std::int64_t nan_value = -1;
};

/// The first position that a row attends to.
std::int64_t first_key(const Spec& spec, std::int64_t position) {
  return spec.window == 0 ? 0 : std::max<std::int64_t>(0, position - spec.window + 1);
}

/// Puts a NaN at `position` of the first segment. The results of all rows that attend to this
/// position must contain a NaN. The results of all other rows must contain no NaN.
void put_nan(OpProblem& p, std::size_t state, std::int64_t position) {
  if (position < 0) return;
  std::fill_n(p.row_at(state, p.segments()[0], position), size_of(p.layout().tensors[state].dtype),
              std::byte{0xFF});
}

/// The n elements from column `first` on, in the row of a position.
std::vector<float> cached_row(const OpProblem& p, std::size_t state, const SegmentWords& segment,
                              std::int64_t position, std::int64_t first, std::int64_t n) {
  const std::byte* base = p.row_at(state, segment, position);
  const bool is_float = p.layout().tensors[state].dtype == DType::f32;
  std::vector<float> row(static_cast<std::size_t>(n));
  for (std::size_t c = 0; c < row.size(); ++c) {
    const auto i = static_cast<std::size_t>(first) + c;
    row[c] = is_float ? reinterpret_cast<const float*>(base)[i]
                      : f16_to_f32(reinterpret_cast<const std::uint16_t*>(base)[i]);
  }
  return row;
}

/// The softmax weight of a key, and the error of that weight.
struct KeyWeight {
  double value;
  double worst;      ///< largest error, as a fraction of the value
  double deviation;  ///< standard deviation of the error, as a fraction of the value
};

/// The softmax weight of a key with this score, in an online softmax over n_keys keys.
KeyWeight weight_of(const Rounded& score, double largest, double total, std::size_t n_keys) {
  Rounded distance = score;
  distance.value -= largest;
  // Two subtractions round: first the largest score so far is subtracted, then the final largest
  // score.
  distance = rounded(distance, 2);
  const Rounded weight = exp_of(distance);
  if (weight.value == 0) return {};
  // An online softmax rescales the weight whenever a later score exceeds all scores before it. Each
  // rescaling multiplies the weight by one more exponential. In the worst case every later score
  // causes a rescaling, but on average only one does. Merging partial results adds at most three
  // exponentials.
  const double rescaling = (kExpUlps + 0.5) * kUlp;
  // A huge score has a huge error, but then the weights of all other keys are 0.
  const double worst = std::min(weight.worst / weight.value, 1e30);
  const double bias = std::min(weight.bias / weight.value, 1e30) + 4 * rescaling;
  const double noise = std::min(weight.noise / weight.value, 1e30);
  return {weight.value / total, worst + (static_cast<double>(n_keys) + 3) * rescaling,
          std::sqrt(noise * noise + bias * bias / 3)};
}

/// sum_j weight_j * v_j / sum_j weight_j, for column c. An error that all weights share cancels. An
/// error of a single weight_j moves the mean towards v_j or away from v_j.
Rounded mean_of(const std::vector<KeyWeight>& weights,
                const std::vector<std::vector<float>>& values, std::size_t c) {
  double mean = 0;
  for (std::size_t j = 0; j < weights.size(); ++j)
    mean += weights[j].value * static_cast<double>(values[j][c]);
  Sum sum, total;
  for (std::size_t j = 0; j < weights.size(); ++j) {
    const KeyWeight& weight = weights[j];
    const auto v = static_cast<double>(values[j][c]);
    const double lever = weight.value * std::abs(v - mean);
    sum.add(rounded({weight.value * v, weight.worst * lever, 0, weight.deviation * lever}));
    total.add({weight.value});
  }
  return sum.result() / total.result();
}

/// Appends the allowed errors of one head of one row. `keys` and `values` are the keys and values
/// that the row attends to.
void add_errors(std::span<const float> q, const std::vector<std::vector<float>>& keys,
                const std::vector<std::vector<float>>& values, std::vector<double>& allowed) {
  const NormedRow query = normed(q, {}, 0);
  const Rounded scale = rounded({1 / std::sqrt(static_cast<double>(q.size()))});
  std::vector<Rounded> scores;
  double largest = -std::numeric_limits<double>::infinity();
  for (const std::vector<float>& key : keys) {
    scores.push_back(product({key}, query.x) * scale);
    largest = std::max(largest, scores.back().value);
  }
  double total = 0;
  for (const Rounded& score : scores) total += std::exp(score.value - largest);
  std::vector<KeyWeight> weights;
  for (const Rounded& score : scores)
    weights.push_back(weight_of(score, largest, total, keys.size()));
  for (std::size_t c = 0; c < q.size(); ++c)
    allowed.push_back(allowed_of(mean_of(weights, values, c)));
}

std::vector<double> errors_of(const OpProblem& p, const Spec& spec, std::size_t q, std::size_t keys,
                              std::size_t values) {
  std::vector<double> allowed;
  for (const SegmentWords& segment : p.segments())
    for (std::uint32_t i = 0; i < segment.n_rows; ++i) {
      const std::int64_t position = std::int64_t{segment.position} + i;
      const std::int64_t first = first_key(spec, position);
      const auto row = input_row(p, q, segment.first_row + i);
      for (std::int64_t head = 0; head < spec.n_heads; ++head) {
        std::vector<std::vector<float>> seen_keys, seen_values;
        for (std::int64_t j = first; j <= position; ++j) {
          const std::int64_t at = head / spec.group * spec.head_dim;
          seen_keys.push_back(cached_row(p, keys, segment, j, at, spec.head_dim));
          seen_values.push_back(cached_row(p, values, segment, j, at, spec.head_dim));
        }
        add_errors(row.subspan(static_cast<std::size_t>(head * spec.head_dim),
                               static_cast<std::size_t>(spec.head_dim)),
                   seen_keys, seen_values, allowed);
      }
    }
  return allowed;
}

void build(OpProblem& p, const Spec& spec) {
  p.set_step(spec.segments, spec.capacity);
  const std::int64_t d = spec.n_heads / spec.group * spec.head_dim;
  std::int64_t n_before = 0;
  for (const CaseSegment& segment : spec.segments)
    n_before = std::max(n_before, segment.position - first_key(spec, segment.position));
  const auto q = p.add_input(spec.n_heads * spec.head_dim, spec.q_spread);
  const auto keys = p.add_pages(spec.dtype, d, n_before);
  const auto values = p.add_pages(spec.dtype, d, n_before);
  for (const SegmentWords& segment : p.segments()) {
    // Fills only the positions that at least one row attends to. If the window of a kernel is too
    // wide by one position, the kernel thus reads a NaN.
    const std::int64_t position = segment.position;
    const std::int64_t first = first_key(spec, position);
    p.fill_pages(keys, segment, first, position + segment.n_rows, 1);
    p.fill_pages(values, segment, first, position + segment.n_rows, spec.value_spread);
  }
  put_nan(p, keys, spec.nan_key);
  put_nan(p, values, spec.nan_value);
  p.errors = [=](const OpProblem& problem) -> ResultErrors {
    return {errors_of(problem, spec, q, keys, values)};
  };
  p.record = [=](const OpHandles& h) -> std::vector<Tensor> {
    return {attention(h.inputs[q], h.states[keys], h.states[values],
                      {.n_heads = spec.n_heads,
                       .n_kv_heads = spec.n_heads / spec.group,
                       .window = spec.window == 0 ? std::nullopt : std::optional(spec.window)})};
  };
}

OpCase make(std::string label, unsigned tags, Spec spec) {
  return {std::move(label),
          tags,
          {0, "float32 sums in any order, of products and of exponentials",
           spec.nan_key >= 0 || spec.nan_value >= 0},
          [spec = std::move(spec)](OpProblem& p) { build(p, spec); }};
}

/// One row at `position`, in a bucket of one row, as in decode.
Spec one_row(std::uint32_t position, Spec spec = {}) {
  spec.segments = one_segment(1, position);
  spec.capacity = 1;
  return spec;
}

/// Segments that begin and end in the middle of blocks of rows, for every block size.
std::vector<CaseSegment> ragged_segments() {
  return {{.slot = 1, .n_rows = 21, .position = 5},
          {.slot = 3, .n_rows = 1, .position = 77},
          {.slot = 0, .n_rows = 30, .position = 0},
          {.slot = 2, .n_rows = 40, .position = 130}};
}

void add_decoding(std::vector<OpCase>& cases) {
  for (std::uint32_t position : {0U, 1U, 15U, 16U, 200U})
    cases.push_back(make("one_row_at_" + std::to_string(position), kEdge, one_row(position)));
  // Kernels split the window into parts. In these cases some parts are empty, or the last part is
  // short.
  for (DType dtype : {DType::f32, DType::f16})
    for (std::uint32_t position : {63U, 64U, 100U, 254U, 299U, 300U, 1000U})
      cases.push_back(make("one_row_of_window_300_at_" + std::to_string(position) + "_" +
                               std::string(name_of(dtype)),
                           kEdge, one_row(position, {.dtype = dtype, .window = 300})));
  for (std::int64_t n_heads : {1, 2, 3})
    cases.push_back(make("one_row_of_4096_keys_" + std::to_string(n_heads) + "_heads", kEdge,
                         one_row(9000, {.n_heads = n_heads, .window = 4096})));
  cases.push_back(make("one_row_across_pages", kEdge, one_row(1037, {.window = 300})));
  cases.push_back(
      make("one_row_at_largest_position", kEdge, one_row(0xFFFFFF00U, {.window = 300})));
  cases.push_back(
      make("one_row_equal_scores", kEdge, one_row(500, {.window = 300, .q_spread = 0})));
  cases.push_back(
      make("one_row_huge_scores", kEdge, one_row(500, {.window = 300, .q_spread = 1e30})));
  cases.push_back(make("one_row_nan_key", kEdge, one_row(500, {.window = 300, .nan_key = 333})));
  cases.push_back(
      make("one_row_nan_value", kEdge, one_row(500, {.window = 300, .nan_value = 201})));
}

void add_head_sizes(std::vector<OpCase>& cases) {
  for (std::int64_t head_dim : {1, 2, 3, 4, 5, 33, 63, 64, 80, 128, 256})
    for (DType dtype : {DType::f32, DType::f16}) {
      // The short run takes one head size for each way to read a head: one that is read by element,
      // one that is read by vector, and a large one.
      const bool chosen = head_dim == 5 || head_dim == 64 || head_dim == 256;
      const unsigned tags = chosen && dtype == DType::f16 ? kEdge : kEdge | kExhaustive;
      const std::string suffix =
          "_head_size_" + std::to_string(head_dim) + "_" + std::string(name_of(dtype));
      const Spec spec{.dtype = dtype, .n_heads = 3, .head_dim = head_dim, .window = 150};
      cases.push_back(make("one_row" + suffix, tags, one_row(400, spec)));
      Spec ragged = spec;
      ragged.segments = ragged_segments();
      cases.push_back(make("ragged" + suffix, tags, ragged));
    }
}

void add_many_rows(std::vector<OpCase>& cases) {
  for (std::uint32_t position : {0U, 30U, 5000U})
    cases.push_back(make("rows_512_at_" + std::to_string(position), kEdge,
                         {.dtype = DType::f16,
                          .head_dim = 80,
                          .window = 40,
                          .segments = one_segment(512, position)}));
  // Every row attends to the keys in a common range. This range begins or ends next to the boundary
  // of a key tile.
  for (std::int64_t window : {63, 64, 65, 95, 96, 97})
    for (std::uint32_t n : {33U, 34U, 35U})
      cases.push_back(make("rows_" + std::to_string(n) + "_of_window_" + std::to_string(window),
                           n == 34 ? kEdge : kEdge | kExhaustive,
                           {.window = window, .segments = one_segment(n, 300)}));
  cases.push_back(make("ragged_one_row_over", kEdge,
                       {.window = 20, .segments = {{.n_rows = 64}, {.slot = 1, .n_rows = 65}}}));
  cases.push_back(make("ragged_nan_key", kEdge, {.segments = ragged_segments(), .nan_key = 12}));
  cases.push_back(make("ragged_nan_value", kEdge, {.segments = ragged_segments(), .nan_value = 4}));
  cases.push_back(
      make("ragged_huge_scores", kEdge, {.segments = ragged_segments(), .q_spread = 1e30}));
  cases.push_back(
      make("ragged_equal_scores", kEdge, {.segments = ragged_segments(), .q_spread = 0}));
  std::vector<CaseSegment> single;
  for (std::uint32_t i = 0; i < OpProblem::kSlots; ++i)
    single.push_back({.slot = i, .position = 60 * i});
  cases.push_back(make("segments_of_one_row", kEdge, {.window = 100, .segments = single}));
}

/// Several heads of queries share a head of keys.
void add_groups(std::vector<OpCase>& cases) {
  struct Grouping {
    std::int64_t n_heads, group, head_dim;
  };
  for (const Grouping g : {Grouping{2, 2, 8}, Grouping{6, 2, 24}, Grouping{6, 3, 5},
                           Grouping{8, 4, 64}, Grouping{9, 9, 33}, Grouping{20, 20, 128}})
    for (DType dtype : {DType::f32, DType::f16}) {
      const std::string suffix =
          fmt::format("_{}_heads_in_groups_of_{}_{}", g.n_heads, g.group, name_of(dtype));
      const Spec spec{.dtype = dtype,
                      .n_heads = g.n_heads,
                      .group = g.group,
                      .head_dim = g.head_dim,
                      .window = 150};
      cases.push_back(make("one_row_of" + suffix, kEdge, one_row(400, spec)));
      Spec ragged = spec;
      ragged.segments = ragged_segments();
      // Every mode has a case that suits matrix units.
      const unsigned tags = dtype == DType::f32 ? kExhaustive
                            : g.head_dim == 64  ? kEveryMode
                                                : kPlain;
      cases.push_back(make("ragged_of" + suffix, kEdge | tags, ragged));
    }
  // Past five windows, which end next to the end of a page.
  for (const std::int64_t window : {7, 63, 64, 65}) {
    const Spec spec{
        .dtype = DType::f16, .n_heads = 8, .group = 4, .head_dim = 16, .window = window};
    const std::string suffix = fmt::format("_of_groups_of_4_after_5_windows_of_{}", window);
    const auto position = static_cast<std::uint32_t>(5 * window);
    cases.push_back(make("one_row" + suffix, kEdge, one_row(position, spec)));
    Spec rows = spec;
    rows.segments = one_segment(34, position);
    cases.push_back(make("rows" + suffix, kEdge, rows));
  }
  cases.push_back(make("one_row_of_groups_nan_key", kEdge,
                       one_row(500, {.group = 2, .window = 300, .nan_key = 333})));
  cases.push_back(make("ragged_of_groups_nan_value", kEdge,
                       {.group = 4, .segments = ragged_segments(), .nan_value = 4}));
  // Without a window, more keys than the partial results that a kernel keeps at a time.
  for (std::int64_t group : {1, 4})
    cases.push_back(make(
        "one_row_of_all_keys_in_groups_of_" + std::to_string(group), kEdge,
        one_row(16384 + 700, {.dtype = DType::f16, .group = group, .head_dim = 4, .window = 0})));
  cases.push_back(make("ragged_of_all_keys", kEdge, {.window = 0, .segments = ragged_segments()}));
  cases.push_back(
      make("rows_of_all_keys", kEdge,
           {.dtype = DType::f16, .group = 2, .window = 0, .segments = one_segment(100, 1000)}));
  cases.push_back(make("three_segments_of_groups", kEveryMode,
                       {.dtype = DType::f16, .group = 2, .segments = three_segments()}));
}

}  // namespace

std::vector<OpCase> attention_cases() {
  std::vector<OpCase> cases;
  add_groups(cases);
  for (DType dtype : {DType::f32, DType::f16})
    for (std::uint32_t n : {1U, 2U, 5U, 16U, 33U})
      for (std::uint32_t position : {0U, 40U})
        cases.push_back(make("rows_" + std::to_string(n) + "_at_" + std::to_string(position) + "_" +
                                 std::string(name_of(dtype)),
                             n == 5 ? kEveryMode : kPlain,
                             {.dtype = dtype, .segments = one_segment(n, position)}));
  for (std::uint32_t position : {14U, 15U, 16U, 17U})
    cases.push_back(make("window_boundary_at_" + std::to_string(position), kEdge,
                         {.segments = one_segment(3, position)}));
  cases.push_back(make("window_of_one", kEdge, {.window = 1, .segments = three_segments()}));
  cases.push_back(make("window_of_two", kEdge, {.window = 2, .segments = three_segments()}));
  cases.push_back(
      make("step_longer_than_window", kEdge, {.window = 7, .segments = one_segment(33, 10)}));
  cases.push_back(
      make("window_across_pages", kEdge, {.window = 100, .segments = one_segment(5, 124)}));
  cases.push_back(make("step_across_pages", kEdge, {.segments = one_segment(5, 126)}));
  cases.push_back(make("largest_position", kEdge, {.segments = one_segment(3, 0xFFFFFF00U)}));
  cases.push_back(make("odd_sizes", kEdge,
                       {.n_heads = 3, .head_dim = 5, .window = 11, .segments = three_segments()}));
  cases.push_back(make("one_head_of_one", kEdge, {.n_heads = 1, .head_dim = 1}));
  cases.push_back(make("wide_head", kEdge, {.n_heads = 1, .head_dim = 129}));
  cases.push_back(make("three_segments", kEdge, {.segments = three_segments()}));
  cases.push_back(
      make("three_segments_f16", kEdge, {.dtype = DType::f16, .segments = three_segments()}));
  cases.push_back(make("equal_scores", kEdge, {.q_spread = 0}));
  cases.push_back(
      make("one_score_dominates", kEdge, {.segments = three_segments(), .q_spread = 1e4}));
  cases.push_back(make("large_values", kEdge, {.value_spread = 1e18}));
  cases.push_back(make("tiny_values", kEdge, {.value_spread = 1e-18}));
  add_decoding(cases);
  add_head_sizes(cases);
  add_many_rows(cases);
  cases.push_back(
      make("model_one_row", kModel | kBench,
           one_row(5000, {.dtype = DType::f16, .n_heads = 32, .head_dim = 80, .window = 4096})));
  cases.push_back(make("model", kModel | kBench,
                       {.dtype = DType::f16,
                        .n_heads = 32,
                        .head_dim = 80,
                        .window = 4096,
                        .segments = one_segment(2, 5000)}));
  return cases;
}

}  // namespace bitaxon::test
