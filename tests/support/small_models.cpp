#include "support/small_models.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <random>
#include <stdexcept>

#include "formats/safetensors.h"
#include "model/weights.h"
#include "support/borrowed_backend.h"
#include "support/wrapped_backend.h"

namespace bitaxon::test {

BitAxonConfig small_config() {
  BitAxonConfig config;
  config.vocab_size = 61;
  config.hidden_dim = 24;
  config.num_layers = 6;
  config.num_heads = 2;
  config.d_source_model = 20;
  config.ssm_d_state = 3;
  config.ssm_d_conv = 4;
  config.ssm_expand = 2;
  config.swa_window_size = 16;
  config.moe_num_experts = 4;
  config.moe_top_k = 2;
  config.moe_intermediate_dim = 16;
  config.weight_tying = false;
  return config;
}

std::vector<std::int32_t> random_ids(std::size_t n, std::int64_t vocab_size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> ids(n);
  for (std::int32_t& id : ids)
    id = static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(vocab_size));
  return ids;
}

BitAxonConfig read_config(const std::filesystem::path& folder) {
  std::ifstream in(folder / "config.json", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  std::vector<std::string> warnings;
  return BitAxonConfig::parse(text, "config.json", warnings);
}

NamedTensor random_tensor(const Shape& shape, std::uint32_t seed, float deviation) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  NamedTensor tensor{shape, std::vector<float>(static_cast<std::size_t>(shape.elements()))};
  for (float& value : tensor.values) value = normal(random);
  return tensor;
}

std::map<std::string, NamedTensor> random_tensors(const ModelSpec& spec, std::uint64_t seed) {
  WrappedBackend backend(open_device("reference").backend);
  const Model model = Model::random(borrowed(backend), spec, seed, {});
  std::map<std::string, NamedTensor> tensors;
  for (const WeightSlot& slot : weight_slots(spec)) {
    const auto captured = backend.captured().find(slot.name());
    if (captured != backend.captured().end())
      tensors[slot.name()] = {slot.shape, captured->second.values};
  }
  return tensors;
}

StoredModel random_stored(const BitAxonConfig& config, std::uint64_t seed) {
  return {config, random_tensors(config.spec(), seed), {}};
}

void write_random_model(const std::filesystem::path& folder, const std::string& config,
                        std::uint64_t seed) {
  std::vector<std::string> warnings;
  const ModelSpec spec = describe_model(config, "config.json", warnings);
  write_text(folder / "config.json", config);
  write_tensors(folder / "model.safetensors", random_tensors(spec, seed));
}

void write_tensors(const std::filesystem::path& file,
                   const std::map<std::string, NamedTensor>& tensors,
                   const std::map<std::string, std::string>& metadata) {
  std::vector<SafetensorsWriter::Spec> specs;
  for (const auto& [name, tensor] : tensors) specs.push_back({name, DType::f32, tensor.shape});
  SafetensorsWriter writer(file, specs, metadata);
  for (const auto& [name, tensor] : tensors) writer.write(std::as_bytes(std::span(tensor.values)));
  writer.commit();
}

void write_text(const std::filesystem::path& file, std::string_view text) {
  std::ofstream(file, std::ios::binary) << text;
}

void write_model(const std::filesystem::path& folder, const StoredModel& model) {
  write_text(folder / "config.json", model.config.to_json());
  write_tensors(folder / "model.safetensors", model.tensors, model.metadata);
}

OpenModel open_model(const std::string& device, int n_threads, const std::filesystem::path& path,
                     const LoadOptions& options) {
  auto backend = open_device(device, {.n_threads = n_threads}).backend;
  std::vector<std::string> warnings;
  Model model = Model::load(backend, model_files(path), options, warnings);
  EXPECT_TRUE(warnings.empty()) << warnings[0];
  return {std::move(backend), std::move(model)};
}

OpenModel open_random(const std::string& device, int n_threads, const BitAxonConfig& config,
                      const LoadOptions& options, std::uint64_t seed) {
  auto backend = open_device(device, {.n_threads = n_threads}).backend;
  Model model = Model::random(backend, config.spec(), seed, options);
  return {std::move(backend), std::move(model)};
}

std::vector<float> feed_pieces(Model& model, State& state, std::span<const std::int32_t> ids,
                               std::span<const std::size_t> pieces) {
  const auto vocab_size = static_cast<std::size_t>(model.spec().vocab_size);
  std::vector<float> logits(ids.size() * vocab_size);
  std::size_t done = 0;
  for (const std::size_t piece : pieces) {
    model.feed(state, ids.subspan(done, piece), StepOutput::all_logits);
    model.read_logits(std::span(logits).subspan(done * vocab_size, piece * vocab_size));
    done += piece;
  }
  if (done != ids.size()) throw std::logic_error("the pieces do not add up");
  return logits;
}

std::vector<float> feed_all(Model& model, State& state, std::span<const std::int32_t> ids) {
  return feed_pieces(model, state, ids, equal_pieces(ids.size(), 512));
}

std::vector<std::size_t> equal_pieces(std::size_t n, std::size_t size) {
  std::vector<std::size_t> pieces;
  for (std::size_t done = 0; done < n; done += pieces.back())
    pieces.push_back(std::min(n - done, size));
  return pieces;
}

std::vector<std::size_t> random_pieces(std::size_t n, std::size_t largest, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::size_t> pieces;
  for (std::size_t done = 0; done < n; done += pieces.back())
    pieces.push_back(std::min<std::size_t>(n - done, 1 + random() % largest));
  return pieces;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace bitaxon::test
