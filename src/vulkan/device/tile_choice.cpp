#include "vulkan/device/tile_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "bitaxon/error.h"
#include "bitaxon/ops.h"
#include "core/plan.h"
#include "core/step.h"
#include "formats/weight_format.h"
#include "platform/printable.h"
#include "vulkan/kernels/matrix_tile.h"
#include "vulkan/vulkan_backend.h"

namespace bitaxon::vulkan {
namespace {

constexpr const char* kNote = "tiles";
constexpr int kProducts = 8;
constexpr int kPasses = 5;
/// How much faster than an earlier variant a variant must be to be preferred: less is noise.
constexpr double kLead = 0.95;

/// Several products of one matrix of 4-bit codes, which do not depend on each other, so that they keep
/// the device busy.
class Products {
 public:
  Products(Backend& backend, bool is_cpu)
      : backend_(backend), rows_(is_cpu ? 128 : kMaxRows), size_(is_cpu ? 256 : 2048) {
    WeightDesc desc;
    desc.name = "measured";
    desc.format = WeightFormat::affine;
    desc.dtype = desc.bias_dtype = DType::f16;
    desc.group_size = 64;
    desc.rows = desc.cols = size_;
    const PartBytes bytes = part_bytes(desc);
    const std::vector<std::byte> codes(static_cast<std::size_t>(bytes.data), std::byte{0x5a});
    const std::vector<std::byte> scales(static_cast<std::size_t>(bytes.scales), std::byte{0x11});
    weight_ = backend.pack(desc, {.data = codes, .scales = scales, .biases = scales});
  }

  /// The time of one pass over all products with the variant that the backend now uses.
  double seconds() {
    auto graph = std::make_shared<Graph>();
    graph->set_label("measured");
    const Tensor x = graph->input(DType::f32, {rows_, size_});
    const Tensor w = graph->weight(weight_);
    for (int i = 0; i < kProducts; ++i) graph->mark_output(linear(x, w));
    const auto plan = schedule(graph, *backend_.description());
    const Buffer arena = backend_.allocate(plan->arena_bytes, BufferUse::activations);
    const Executable executable =
        backend_.compile(plan, {.arena = arena,
                                .state = {},
                                .precision = Precision::fast,
                                .state_layout = std::make_shared<const StateLayout>()});
    StepBuffer step;
    step.n_segments = 1;
    step.n_rows = step.segments[0].n_rows = static_cast<std::uint32_t>(rows_);
    double best = std::numeric_limits<double>::infinity();
    for (int pass = 0; pass <= kPasses; ++pass) {  // the first pass is not counted
      const auto begin = std::chrono::steady_clock::now();
      backend_.wait(backend_.submit(executable, step));
      const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
      if (pass > 0) best = std::min(best, time.count());
    }
    return best;
  }

 private:
  Backend& backend_;
  std::int64_t rows_, size_;
  std::shared_ptr<const Weight> weight_;
};

struct TileChoice {
  TileVariant variant = kTileVariants[0];
  std::string reason;
};
using Use = std::function<void(std::uint32_t matrix_tile)>;

TileChoice measure(Backend& backend, const Use& use) {
  Products products(backend, device_caps(backend).type == DeviceType::cpu);
  TileChoice choice;
  double best = std::numeric_limits<double>::infinity();
  for (const TileVariant& variant : kTileVariants) {
    use(variant.matrix_tile);
    const double seconds = products.seconds();
    choice.reason += fmt::format("{}{} took {:.3g} ms", choice.reason.empty() ? "" : ", ",
                                 variant.name, 1e3 * seconds);
    if (seconds >= kLead * best) continue;
    best = seconds;
    choice.variant = variant;
  }
  return choice;
}

const TileVariant* find_variant(const std::string& name) {
  const auto* found = std::ranges::find(kTileVariants, name, &TileVariant::name);
  return found == std::end(kTileVariants) ? nullptr : found;
}

/// Reads a note: the name of a variant in the first line, and the times in the second. A damaged one
/// counts as missing.
std::optional<TileChoice> read(const std::string& note) {
  const std::size_t end = note.find('\n');
  const TileVariant* variant = find_variant(note.substr(0, end));
  if (end == std::string::npos || variant == nullptr) return std::nullopt;
  return TileChoice{*variant, note.substr(end + 1)};
}

TileChoice measured_once(Backend& backend, const PipelineCache& notes, const Use& use) {
  const TileChoice first{kTileVariants[0], "not measured, because the result could not be kept"};
  if (const auto kept = read(notes.read_note(kNote))) return *kept;
  // Tries whether a note can be kept, before it measures.
  notes.write_note(kNote, "measuring");
  if (notes.read_note(kNote) != "measuring") return first;
  const TileChoice choice = measure(backend, use);
  const std::string note = fmt::format("{}\n{}", choice.variant.name, choice.reason);
  notes.write_note(kNote, note);
  return notes.read_note(kNote) == note ? choice : first;
}

const TileVariant& tile_variant(const std::string& name) {
  if (const TileVariant* variant = find_variant(name)) return *variant;
  throw Error(
      ErrorKind::invalid_argument,
      fmt::format("tiles: expected float32, matrix-64 or matrix-128, got \"{}\"", printable(name)));
}

}  // namespace

std::uint32_t matrix_tile_of(const std::string& name) { return tile_variant(name).matrix_tile; }

void check_tiles(const std::string& name, const DeviceCaps& caps) {
  if (name.empty() || tile_variant(name).matrix_tile == 0 || matrix_units(caps)) return;
  throw Error(ErrorKind::unsupported,
              fmt::format("vulkan: tiles: {} needs matrix units, and {} has none that this program "
                          "can use",
                          name, caps.name));
}

VariantChoice choose_tiles(Backend& backend, const std::string& wanted, VariantChoice choice,
                           const PipelineCache& notes, const Use& use) {
  const TileChoice chosen = wanted.empty() ? measured_once(backend, notes, use)
                                           : TileChoice{tile_variant(wanted), "it is asked for"};
  use(chosen.variant.matrix_tile);
  choice.variant = chosen.variant.name;
  choice.reason += "; " + chosen.reason;
  return choice;
}

}  // namespace bitaxon::vulkan
