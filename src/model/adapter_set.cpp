#include "model/adapter_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>

#include "bitaxon/error.h"
#include "model/weights.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// The weights of a block that can have an adapter, in the order of their parameters.
constexpr std::array kAdaptedOfBlock = {
    WeightId::scan_in,     WeightId::scan_out,      WeightId::query,       WeightId::key,
    WeightId::value,       WeightId::attention_out, WeightId::shared_gate, WeightId::shared_up,
    WeightId::shared_down, WeightId::dense_gate,    WeightId::dense_up,    WeightId::dense_down};

/// The keys of all weights that can have an adapter.
std::vector<WeightKey> candidates(const ModelSpec& spec) {
  std::vector<WeightKey> keys = {{WeightId::input_bridge}};
  for (std::int64_t block = 0; block < spec.n_blocks(); ++block)
    for (const WeightId id : kAdaptedOfBlock) keys.push_back({id, block});
  keys.push_back({WeightId::output_bridge});
  return keys;
}

std::string path_of(const WeightSlot& slot) {
  constexpr std::string_view kEnd = ".weight";
  std::string path = slot.name();
  if (path.ends_with(kEnd)) path.resize(path.size() - kEnd.size());
  return path;
}

std::string last_component(const std::string& path) { return path.substr(path.rfind('.') + 1); }

[[noreturn]] void fail(std::string_view name, std::string_view expected, std::string_view got) {
  throw Error(ErrorKind::invalid_argument,
              fmt::format("{}: expected {}, got {}", name, expected, got));
}

void check_numbers(const AdapterSettings& settings) {
  if (settings.rank < 1) fail("lora-rank", "1 or more", std::to_string(settings.rank));
  if (!std::isfinite(settings.scale) || settings.scale <= 0)
    fail("lora-scale", "a number above 0", fmt::format("{}", settings.scale));
  if (!(settings.dropout >= 0 && settings.dropout < 1))
    fail("lora-dropout", "0 or more and less than 1", fmt::format("{}", settings.dropout));
}

void check_targets(const std::vector<AdaptedLinear>& layers,
                   const std::vector<std::string>& targets) {
  std::set<std::string> known;
  for (const AdaptedLinear& layer : layers) known.insert(last_component(layer.path));
  for (const std::string& target : targets)
    if (!known.contains(target))
      fail("targets", fmt::format("names of linear layers ({})", fmt::join(known, ", ")),
           printable(target));
}

}  // namespace

const AdaptedLinear* AdapterSet::find(const WeightKey& key) const {
  const auto found =
      std::ranges::find_if(layers, [&](const AdaptedLinear& layer) { return layer.key == key; });
  return found == layers.end() ? nullptr : &*found;
}

std::vector<AdaptedLinear> adaptable_layers(const ModelSpec& spec) {
  std::vector<AdaptedLinear> layers;
  const std::vector<WeightSlot> slots = weight_slots(spec);
  for (const WeightKey& key : candidates(spec)) {
    const auto slot =
        std::ranges::find_if(slots, [&](const WeightSlot& other) { return other.key == key; });
    if (slot != slots.end())
      layers.push_back({key, slot->name(), path_of(*slot), slot->shape[1], slot->shape[0], {}});
  }
  return layers;
}

AdapterSet adapter_set(const ModelSpec& spec, const AdapterSettings& settings, std::uint64_t seed) {
  check_numbers(settings);
  const std::int64_t n_blocks = settings.last_blocks.value_or(spec.n_blocks());
  if (n_blocks < 1 || n_blocks > spec.n_blocks())
    fail("layers", fmt::format("1..{} blocks", spec.n_blocks()), std::to_string(n_blocks));
  std::vector<AdaptedLinear> layers = adaptable_layers(spec);
  check_targets(layers, settings.targets);
  AdapterSet set;
  std::int64_t next = 0;
  const auto take = [&](std::int64_t n) {
    const std::int64_t first = next;
    next += n;
    return static_cast<std::uint32_t>(first);
  };
  for (AdaptedLinear& layer : layers) {
    const bool is_target =
        settings.targets.empty() ||
        std::ranges::find(settings.targets, last_component(layer.path)) != settings.targets.end();
    // The projections outside of blocks belong to the model as a whole, so they have an adapter only
    // if all blocks have one.
    const std::int64_t block = layer.key.block < 0 ? 0 : layer.key.block;
    if (!is_target || block < spec.n_blocks() - n_blocks) continue;
    const std::int64_t most = std::min(layer.n_in, layer.n_out);
    if (settings.rank > most)
      fail("lora-rank", fmt::format("at most {}, the smaller side of {}", most, layer.path),
           std::to_string(settings.rank));
    AdapterPlace& place = layer.place;
    place.a = take(layer.n_in * settings.rank);
    place.b = take(settings.rank * layer.n_out);
    place.rank = static_cast<std::uint32_t>(settings.rank);
    place.scale = static_cast<float>(settings.scale);
    layer.dropout = {.p = static_cast<float>(settings.dropout),
                     .index = static_cast<std::uint32_t>(set.layers.size()),
                     .seed_low = static_cast<std::uint32_t>(seed),
                     .seed_high = static_cast<std::uint32_t>(seed >> 32),
                     .first_column = static_cast<std::uint32_t>(set.n_inputs)};
    set.n_inputs += layer.n_in;
    if (settings.kind == AdapterKind::dora) {
      place.is_dora = 1;
      place.m = take(layer.n_out);
      place.norm = static_cast<std::uint32_t>(set.n_norms);
      set.n_norms += layer.n_out;
    }
    set.layers.push_back(std::move(layer));
  }
  if (set.layers.empty()) fail("targets", "at least one layer to adapt", "none");
  if (next > INT32_MAX) fail("lora-rank", "at most 2^31 parameters", std::to_string(next));
  set.n_parameters = next;
  return set;
}

}  // namespace bitaxon
