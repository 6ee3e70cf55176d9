#include "vulkan/self_test.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "bitaxon/error.h"
#include "bitaxon/ops.h"
#include "core/half.h"
#include "core/plan.h"
#include "core/step.h"
#include "formats/weight_format.h"

namespace bitaxon::vulkan {
namespace {

// No multiples of a tile, so that its edges are tried too.
constexpr std::int64_t kRows = 128;
constexpr std::uint32_t kValidRows = 77;
constexpr std::int64_t kCols = 200;
constexpr std::int64_t kOuts = 144;
/// Both factors are rounded to 11 bits: about 2^-11 of the result, whose errors add as square
/// roots.
constexpr double kTolerance = 2e-3;

/// Numbers in [-1, 1), the same in every run.
class Numbers {
 public:
  float next() {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<float>(static_cast<std::int32_t>(state_ >> 32)) * 0x1p-31F;
  }

 private:
  std::uint64_t state_ = 1;
};

std::shared_ptr<const Weight> half_weight(Backend& backend, Numbers& numbers) {
  WeightDesc desc;
  desc.name = "self-test";
  desc.rows = kOuts;
  desc.cols = kCols;
  desc.dtype = DType::f16;
  std::vector<std::uint16_t> halves(static_cast<std::size_t>(kOuts * kCols));
  for (std::uint16_t& half : halves) half = f32_to_f16(numbers.next());
  return backend.pack(desc, {.data = std::as_bytes(std::span(halves))});
}

std::vector<float> multiply(Backend& backend, const std::shared_ptr<const Weight>& weight,
                            const std::vector<float>& x, bool fast) {
  auto graph = std::make_shared<Graph>();
  graph->set_label("self-test");
  const Tensor input = graph->input(DType::f32, {kRows, kCols});
  const Tensor y = linear(input, graph->weight(weight));
  graph->mark_output(y);
  const auto plan =
      schedule(graph, [&](const Graph& g, const Node& node) { return backend.workspace(g, node); });
  const Buffer arena = backend.allocate(plan->arena_bytes, BufferUse::activations);
  const auto place = [&](const Tensor& tensor) {
    return plan->values[static_cast<std::size_t>(tensor.id())].offset_bytes;
  };
  backend.upload(arena, place(input), std::as_bytes(std::span(x)));
  const Executable executable =
      backend.compile(plan, {.arena = arena,
                             .state = {},
                             .fast = fast,
                             .state_layout = std::make_shared<const StateLayout>()});
  StepBuffer step;
  step.n_rows = kValidRows;
  step.n_segments = 1;
  step.segments[0].n_rows = kValidRows;
  backend.wait(backend.submit(executable, step));
  std::vector<float> result(kValidRows * static_cast<std::size_t>(kOuts));
  backend.download(arena, place(y), std::as_writable_bytes(std::span(result)));
  return result;
}

}  // namespace

std::string fast_product_problem(Backend& backend) {
  Numbers numbers;
  const auto weight = half_weight(backend, numbers);
  std::vector<float> x(static_cast<std::size_t>(kRows * kCols));
  for (float& value : x) value = numbers.next();
  const std::vector<float> exact = multiply(backend, weight, x, false);
  const std::vector<float> fast = multiply(backend, weight, x, true);
  double error = 0;
  double norm = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double difference = static_cast<double>(fast[i]) - static_cast<double>(exact[i]);
    error += difference * difference;
    norm += static_cast<double>(exact[i]) * static_cast<double>(exact[i]);
  }
  const double relative = std::sqrt(error / norm);
  if (relative <= kTolerance) return "";  // NaN is not
  return fmt::format(
      "products of matrix units are off by {:.2g} (relative L2), at most {:.2g} is "
      "expected",
      relative, kTolerance);
}

}  // namespace bitaxon::vulkan
