#include "bitaxon/porting.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "formats/json_file.h"
#include "formats/stored_weight.h"
#include "model/weight_pieces.h"
#include "platform/file.h"
#include "platform/host_memory.h"
#include "platform/optional_file.h"
#include "platform/printable.h"
#include "session/port_source.h"
#include "session/port_values.h"
#include "tokenizer/truncation.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxTokenizerBytes = std::uint64_t{512} << 20;

/// A weight of the new model, and what computes its values.
struct PortedWeight {
  FoundWeight found;
  ReadElements values;
};

WeightDesc desc_of(const WeightSlot& slot, DType dtype) {
  WeightDesc desc = with_matrix_shape({}, slot);
  desc.name = slot.name();
  desc.dtype = slot.may_be_quantized() ? dtype : DType::f32;
  return desc;
}

void check_options(const PortOptions& options) {
  if (options.spec.family != "bit_axon")
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[port] spec: expected a Bit-Axon model, got {}", options.spec.family));
  if (!options.has_tokenizer && !options.ids)
    throw Error(ErrorKind::invalid_argument,
                "[port] ids: expected ids for a source without a tokenizer, got none");
  if (options.expert_noise && !(*options.expert_noise >= 0 && std::isfinite(*options.expert_noise)))
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[port] expert_noise: expected a number of at least 0, got {}",
                            *options.expert_noise));
}

/// tokenizer_config.json without the tokens that the new tokenizer lacks, and without the chat
/// template: a Bit-Axon chat is ChatML, without the instructions that Qwen2.5 adds on its own.
std::string truncated_config(const fs::path& file, const VocabIds& ids) {
  Json config = read_json_file(file);
  if (!config.is_object()) return {};
  config.erase("chat_template");
  if (const auto tokens = config.find("added_tokens_decoder");
      tokens != config.end() && tokens->is_object()) {
    Json kept = Json::object();
    for (const auto& [key, token] : tokens->items()) {
      std::int32_t id = -1;
      std::from_chars(key.data(), key.data() + key.size(), id);
      if (ids.contains(id)) kept[key] = token;
    }
    *tokens = std::move(kept);
  }
  config["additional_special_tokens"] = Json::array({"<|im_start|>", "<|im_end|>"});
  return config.dump(2) + "\n";
}

/// Writes a weight piece by piece. Returns false as soon as on_bytes(n_bytes) does.
template <class OnBytes>
bool write_weight(const WeightDesc& desc, const ReadElements& values, std::size_t number,
                  StoredWeightWriter& writer, const OnBytes& on_bytes) {
  bool goes_on = true;
  std::vector<std::byte> bytes;
  const ReadElements read = [&](std::int64_t first, std::span<float> out) {
    if (goes_on) values(first, out);
  };
  for_each_piece(desc, read, [&](std::int64_t first, std::span<const float> floats) {
    if (!goes_on) return;
    encode_floats(desc, first, floats, bytes);
    writer.write_dense(number, static_cast<std::uint64_t>(first) * size_of(desc.dtype), bytes);
    goes_on = on_bytes(bytes.size());
  });
  return goes_on;
}

void count(const FoundWeight& weight, PortReport& report) {
  const WeightDesc& desc = weight.source.desc;
  const bool has_source = rule_of(weight.slot.key.id) != PortRule::initial;
  for (PortedPart* sum : {&report.parts[std::string(part_of(weight.slot.key.id))], &report.total}) {
    sum->parameters += desc.elements();
    sum->from_source += has_source ? desc.elements() : 0;
    sum->bytes += desc.stored_bytes();
  }
}

}  // namespace

struct BX_HIDDEN Porting::Impl {
  explicit Impl(const PortOptions& wanted)
      : options(wanted),
        source(options.source.empty() ? PortSource::random(options.spec, options.seed)
                                      : PortSource::open(options.source)) {}

  void read_tokenizer();
  void plan_weights();
  std::map<std::string, std::string> metadata() const;
  MemoryNeed memory() const;

  PortOptions options;
  PortSource source;
  std::vector<std::string> warnings;
  VocabIds ids;
  std::string tokenizer;         ///< text of the new tokenizer.json
  std::string tokenizer_config;  ///< text of the new tokenizer_config.json; may be empty
  std::vector<PortedWeight> weights;
};

void Porting::Impl::read_tokenizer() {
  if (!options.has_tokenizer) {
    ids = options.ids.value();
    return;
  }
  const bool is_random = options.source.empty();
  const fs::path file = options.source / "tokenizer.json";
  const std::string name = is_random ? "the tokenizer of bytes" : printable_path(file.string());
  const std::string json =
      is_random ? byte_tokenizer_json(static_cast<std::int32_t>(2 * options.spec.vocab_size))
                : read_whole_file(file, kMaxTokenizerBytes);
  ids = options.ids
            ? *options.ids
            : choose_tokens(json, name,
                            {.target_size = options.spec.vocab_size, .corpus = options.corpus});
  tokenizer = truncate_tokenizer(json, name, ids, TokenIds::tokenizer);
  const fs::path config = options.source / "tokenizer_config.json";
  if (!is_random && optional_file_exists(config)) tokenizer_config = truncated_config(config, ids);
}

void Porting::Impl::plan_weights() {
  const PortInputs inputs{.spec = options.spec,
                          .source = source,
                          .ids = ids,
                          .seed = options.seed,
                          .expert_noise = options.expert_noise};
  for (WeightSlot& slot : weight_slots(options.spec)) {
    if (is_tied_head(options.spec, slot)) continue;
    WeightSource place;
    place.desc = desc_of(slot, options.dtype);
    ReadElements values = values_of(slot, inputs);
    weights.push_back({{std::move(slot), std::move(place)}, std::move(values)});
  }
}

std::map<std::string, std::string> Porting::Impl::metadata() const {
  std::map<std::string, std::string> metadata{{"format", "mlx"},
                                              {"vocab_mapping", vocab_mapping_json(ids)}};
  if (!options.base_model.empty()) metadata["base_model"] = options.base_model;
  return metadata;
}

/// The memory that the largest piece of a weight needs: its numbers, the noise of one row, and the
/// bytes to write.
MemoryNeed Porting::Impl::memory() const {
  std::uint64_t pieces = 0;
  for (const PortedWeight& weight : weights) {
    const WeightDesc& desc = weight.found.source.desc;
    const auto elements = static_cast<std::uint64_t>(rows_of_piece(desc) * desc.cols);
    pieces = std::max(pieces, elements * (sizeof(float) + size_of(desc.dtype)) +
                                  static_cast<std::uint64_t>(desc.cols) * 2 * sizeof(float));
  }
  MemoryNeed need;
  need.rows = {{"system memory", {{"pieces", pieces}}, available_memory_bytes()}};
  return need;
}

Porting::Porting(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Porting::Porting(Porting&&) noexcept = default;
Porting& Porting::operator=(Porting&&) noexcept = default;
Porting::~Porting() = default;

Porting Porting::plan(const PortOptions& options) {
  check_options(options);
  auto impl = std::make_unique<Impl>(options);
  impl->read_tokenizer();
  impl->plan_weights();
  return Porting(std::move(impl));
}

const VocabIds& Porting::ids() const { return impl_->ids; }
const std::vector<std::string>& Porting::warnings() const { return impl_->warnings; }

std::optional<PortReport> Porting::write(
    const fs::path& output,
    const std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>& on_progress,
    const std::atomic<bool>* interrupted) const {
  refuse_too_little_memory(impl_->memory());
  std::vector<StoredWeight> stored;
  std::uint64_t total_bytes = 0, done_bytes = 0;
  for (const PortedWeight& weight : impl_->weights) {
    stored.push_back(stored_weight(weight.found));
    total_bytes += stored.back().desc.stored_bytes();
  }
  AtomicFolder folder(output);
  refuse_a_full_disk(folder.temporary(), total_bytes);
  write_text_file(folder.temporary() / "config.json", impl_->options.spec.config);
  if (!impl_->tokenizer.empty())
    write_text_file(folder.temporary() / "tokenizer.json", impl_->tokenizer);
  if (!impl_->tokenizer_config.empty())
    write_text_file(folder.temporary() / "tokenizer_config.json", impl_->tokenizer_config);

  StoredWeightWriter writer(folder.temporary() / "model.safetensors", stored, {},
                            impl_->metadata());
  PortReport report;
  const auto on_bytes = [&](std::size_t n) {
    if (on_progress) on_progress(done_bytes += n, total_bytes);
    return interrupted == nullptr || !*interrupted;
  };
  for (std::size_t i = 0; i < stored.size(); ++i) {
    const PortedWeight& weight = impl_->weights[i];
    if (!write_weight(stored[i].desc, weight.values, i, writer, on_bytes)) return std::nullopt;
    count(weight.found, report);
  }
  writer.commit();
  folder.commit();
  return report;
}

}  // namespace bitaxon
