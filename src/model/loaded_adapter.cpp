#include "model/loaded_adapter.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <bit>

#include "bitaxon/error.h"
#include "core/graph.h"
#include "core/mix64.h"
#include "model/adapter_file.h"
#include "model/lora.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// Adds the parameters of one layer, in the order A, B, m.
class Packer {
 public:
  explicit Packer(LoadedAdapter& adapter) : adapter_(adapter) {}

  void add(AdaptedLinear layer, const LoraLayer& lora) {
    AdapterPlace& place = layer.place;
    place.rank = static_cast<std::uint32_t>(lora.rank);
    place.scale = static_cast<float>(lora.scale);
    place.a = append_transposed(lora.down, lora.rank);
    place.b = append_transposed(lora.up, lora.n_out);
    if (!lora.magnitudes.empty()) {
      place.is_dora = 1;
      place.m = size();
      adapter_.parameters.insert(adapter_.parameters.end(), lora.magnitudes.begin(),
                                 lora.magnitudes.end());
      place.norm = static_cast<std::uint32_t>(adapter_.set.n_norms);
      adapter_.set.n_norms += lora.n_out;
    }
    adapter_.set.n_parameters = std::ssize(adapter_.parameters);
    adapter_.set.layers.push_back(std::move(layer));
  }

 private:
  std::uint32_t size() const { return static_cast<std::uint32_t>(adapter_.parameters.size()); }

  /// Appends a matrix [rows, n] as [n, rows]. Returns its place.
  std::uint32_t append_transposed(const std::vector<float>& values, std::int64_t rows) {
    const std::uint32_t first = size();
    const auto n_rows = static_cast<std::size_t>(rows);
    const std::size_t n = values.size() / n_rows;
    for (std::size_t c = 0; c < n; ++c)
      for (std::size_t r = 0; r < n_rows; ++r) adapter_.parameters.push_back(values[r * n + c]);
    return first;
  }

  LoadedAdapter& adapter_;
};

}  // namespace

std::uint64_t LoadedAdapter::hash() const {
  std::uint64_t value =
      XXH3_64bits(parameters.data(), parameters.size() * sizeof(parameters.front()));
  for (const AdaptedLinear& layer : set.layers)
    value = mix64(value ^ std::bit_cast<std::uint32_t>(layer.place.scale));
  return value;
}

LoadedAdapter load_adapter(const std::filesystem::path& path, std::optional<double> scale,
                           const std::string& base, const ModelSpec& spec,
                           const std::vector<FoundWeight>& found,
                           std::vector<std::string>& warnings) {
  Adapter adapter = read_named_adapter(path, scale, base, found, warnings);
  LoadedAdapter loaded;
  Packer packer(loaded);
  for (AdaptedLinear& layer : adaptable_layers(spec)) {
    const auto layers = adapter.weights.find(layer.slot_name);
    if (layers == adapter.weights.end()) continue;
    packer.add(std::move(layer), layers->second.at(0));
    adapter.weights.erase(layers);
  }
  if (!adapter.weights.empty())
    throw Error(
        ErrorKind::unsupported,
        fmt::format("{}: layer \"{}\": expected a layer whose adapter runs without merging, "
                    "got another one; fold the adapter into the model with \"merge\"",
                    printable_path(find_adapter(path).string()),
                    printable(adapter.weights.begin()->first)));
  return loaded;
}

void record_norms(Graph& graph, const Weights& weights, const AdapterTensors& adapter) {
  for (const AdaptedLinear& layer : adapter.set->layers) {
    if (layer.place.is_dora == 0) continue;
    graph.set_label(layer.path);
    dora_norms(graph.weight(weights.find(layer.key)), adapter.parameters, adapter.norms,
               layer.place);
  }
}

}  // namespace bitaxon
