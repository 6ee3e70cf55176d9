#include "vulkan/device/trial.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bitaxon/ops.h"
#include "core/half.h"
#include "formats/nf4_codebook.h"

namespace bitaxon::vulkan {
namespace {

std::vector<std::byte> random_codes(std::uint64_t size_bytes, Numbers& numbers) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(size_bytes));
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>(static_cast<int>(128 + 128 * numbers.next()));
  return bytes;
}

}  // namespace

WeightParts TrialWeight::parts() const {
  WeightParts parts{.data = data, .scales = scales, .biases = biases};
  if (desc.format == WeightFormat::codebook)
    parts.quant_map = std::as_bytes(std::span(kNf4Codebook));
  return parts;
}

std::vector<std::byte> random_floats(DType dtype, std::uint64_t size_bytes, Numbers& numbers,
                                     float most) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(size_bytes));
  for (std::size_t at = 0; at < bytes.size(); at += size_of(dtype)) {
    const float value = most * numbers.next();
    const std::uint16_t half = dtype == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value);
    if (dtype == DType::f32)
      std::memcpy(bytes.data() + at, &value, sizeof(value));
    else
      std::memcpy(bytes.data() + at, &half, sizeof(half));
  }
  return bytes;
}

TrialWeight random_weight(WeightDesc desc, Numbers& numbers, float most) {
  TrialWeight weight;
  desc.bias_dtype = desc.dtype;
  const bool dense = desc.format == WeightFormat::dense;
  if (!dense) desc.group_size = 32;
  const PartBytes bytes = part_bytes(desc);
  weight.data = dense ? random_floats(desc.dtype, bytes.data, numbers, most)
                      : random_codes(bytes.data, numbers);
  weight.scales = random_floats(desc.dtype, bytes.scales, numbers, most);
  weight.biases = random_floats(desc.dtype, bytes.biases, numbers, most);
  weight.desc = std::move(desc);
  return weight;
}

Trial::Trial() : graph(std::make_shared<Graph>()) { graph->set_label("self-test"); }

Tensor Trial::input(DType dtype, const Shape& shape, std::vector<std::byte> bytes) {
  const Tensor tensor = graph->input(dtype, shape);
  inputs.emplace_back(tensor, std::move(bytes));
  return tensor;
}

void Trial::set_output(const Tensor& tensor) {
  output = tensor;
  graph->mark_output(output);
}

void Trial::set_rows(std::uint32_t n_valid) {
  step.n_rows = n_valid;
  step.n_segments = 1;
  step.segments[0].n_rows = n_valid;
}

std::vector<float> run(Backend& backend, const Trial& trial, Precision precision, std::size_t n) {
  const auto plan = schedule(trial.graph, *backend.description());
  const Buffer arena = backend.allocate(plan->arena_bytes, BufferUse::activations);
  const auto place = [&](const Tensor& tensor) {
    return plan->values[static_cast<std::size_t>(tensor.id())].offset_bytes;
  };
  for (const auto& [tensor, bytes] : trial.inputs) backend.upload(arena, place(tensor), bytes);
  std::vector<Buffer> state;
  for (const std::vector<std::byte>& bytes : trial.state) {
    state.push_back(backend.allocate(bytes.size(), BufferUse::state));
    backend.upload(state.back(), 0, bytes);
  }
  const Executable executable =
      backend.compile(plan, {.arena = arena,
                             .state = state,
                             .table_words = trial.step.pages.size(),
                             .precision = precision,
                             .state_layout = std::make_shared<const StateLayout>(trial.layout)});
  backend.wait(backend.submit(executable, trial.step));
  std::vector<float> result(n);
  backend.download(arena, place(trial.output), std::as_writable_bytes(std::span(result)));
  return result;
}

std::vector<float> multiply(Backend& backend, const std::shared_ptr<const Weight>& weight,
                            const std::vector<float>& x, std::int64_t n_rows, std::uint32_t n_valid,
                            Precision precision) {
  Trial trial;
  const auto bytes = std::as_bytes(std::span(x));
  const Tensor input =
      trial.input(DType::f32, {n_rows, weight->shape[2]}, {bytes.begin(), bytes.end()});
  trial.set_output(linear(input, trial.graph->weight(weight)));
  trial.set_rows(n_valid);
  return run(backend, trial, precision, n_valid * static_cast<std::size_t>(weight->shape[1]));
}

double relative_error(const std::vector<float>& actual, const std::vector<float>& expected) {
  double error = 0;
  double norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double difference = static_cast<double>(actual[i]) - static_cast<double>(expected[i]);
    error += difference * difference;
    norm += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  return std::sqrt(error / norm);
}

}  // namespace bitaxon::vulkan
