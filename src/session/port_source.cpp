#include "session/port_source.h"

#include <fmt/format.h>

#include <string_view>

#include "bitaxon/error.h"
#include "formats/safetensors.h"
#include "formats/weight_source.h"
#include "platform/printable.h"
#include "session/port_random.h"

namespace bitaxon {
namespace {

SourceTensor find_in(const std::shared_ptr<const Checkpoint>& checkpoint, const std::string& name) {
  const TensorInfo* tensor = checkpoint->find(name);
  if (tensor == nullptr) {
    checkpoint->refuse_absent(name);
    throw Error(ErrorKind::format,
                fmt::format("the source has no tensor \"{}\": expected a Qwen2.5 model", name));
  }
  if (tensor->shape.rank() != 1 && tensor->shape.rank() != 2)
    throw Error(
        ErrorKind::format,
        fmt::format("{}: tensor \"{}\": expected a vector or a matrix, got {}",
                    printable_path(checkpoint->file_name(*tensor)), name, describe(*tensor)));
  const auto source = std::make_shared<const WeightSource>(
      find_weight(*checkpoint, name, Shape(tensor->shape), false).value());
  return {.rows = source->desc.rows,
          .cols = source->desc.cols,
          .read = [checkpoint, source, read = dense_reader(*checkpoint, *source)](
                      std::int64_t first, std::span<float> out) { read(first, out); }};
}

}  // namespace

std::string source_embedding() { return "model.embed_tokens.weight"; }
std::string source_mixer_norm(std::int64_t block) {
  return fmt::format("model.layers.{}.input_layernorm.weight", block);
}
std::string source_feed_forward_norm(std::int64_t block) {
  return fmt::format("model.layers.{}.post_attention_layernorm.weight", block);
}
std::string source_mlp(std::int64_t block, const char* which) {
  return fmt::format("model.layers.{}.mlp.{}_proj.weight", block, which);
}

PortSource PortSource::open(const std::filesystem::path& folder) {
  return PortSource([checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(folder))](
                        const std::string& name) { return find_in(checkpoint, name); });
}

PortSource PortSource::random(const ModelSpec& spec, std::uint64_t seed) {
  constexpr std::int64_t kWider = 4;
  const std::int64_t width = spec.d_embedding;
  return PortSource([=, n_ids = 2 * spec.vocab_size](const std::string& name) {
    SourceTensor tensor{.rows = kWider * width, .cols = width, .read = {}};
    if (name == source_embedding()) tensor.rows = n_ids;
    const bool is_norm = name.ends_with("norm.weight");
    if (is_norm) tensor.rows = 1;
    if (name.ends_with("down_proj.weight")) std::swap(tensor.rows, tensor.cols);
    // About as large as the weights of Qwen2.5, so that the new model can be trained.
    constexpr double kDeviation = 0.02;
    tensor.read = [is_norm, stream = RandomStream(seed, name)](std::int64_t first,
                                                               std::span<float> out) {
      stream.fill_normal(first, kDeviation, out);
      if (is_norm)
        for (float& value : out) value += 1;
    };
    return tensor;
  });
}

}  // namespace bitaxon
