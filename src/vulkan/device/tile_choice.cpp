#include "vulkan/device/tile_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "bitaxon/error.h"
#include "bitaxon/ops.h"
#include "core/plan.h"
#include "core/step.h"
#include "formats/weight_format.h"
#include "platform/printable.h"
#include "vulkan/device/attempt.h"
#include "vulkan/kernels/matrix_tile.h"
#include "vulkan/vulkan_backend.h"

namespace bitaxon::vulkan {
namespace {

constexpr const char* kNote = "tiles";
/// The note while variants are measured.
constexpr const char* kMeasuring = "measuring\n";
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
  TileVariant variant;
  std::string reason;
};
using Variants = std::vector<TileVariant>;
using Use = std::function<void(const TileVariant&)>;

/// Measures the variants. The last one is that of float32, which needs no test.
TileChoice measure(Backend& backend, const Variants& variants, const PipelineCache& notes,
                   const Use& use) {
  Products products(backend, device_caps(backend).type == DeviceType::cpu);
  TileChoice choice{variants.back(), ""};
  double best = std::numeric_limits<double>::infinity();
  for (const TileVariant& variant : variants) {
    const char* comma = choice.reason.empty() ? "" : ", ";
    const Attempt attempt(notes, "measurement", variant.name);
    if (!attempt.refusal().empty()) {
      choice.reason += fmt::format("{}{}", comma, attempt.refusal());
      continue;
    }
    use(variant);
    try {
      const double seconds = products.seconds();
      attempt.end();
      choice.reason += fmt::format("{}{} took {:.3g} ms", comma, variant.name, 1e3 * seconds);
      if (seconds >= kLead * best) continue;
      best = seconds;
      choice.variant = variant;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::device) attempt.give_up();
      if (error.kind() == ErrorKind::internal || error.kind() == ErrorKind::device) throw;
      attempt.end();
      choice.reason += fmt::format("{}{} failed: {}", comma, variant.name, error.what());
    }
  }
  return choice;
}

const TileVariant* find_variant(std::span<const TileVariant> variants, const std::string& name) {
  const auto found = std::ranges::find(variants, name, &TileVariant::name);
  return found == variants.end() ? nullptr : &*found;
}

/// Reads a note: the name of a variant in the first line, and the times in the second. A damaged one
/// counts as missing.
std::optional<TileChoice> read(const std::string& note, const Variants& variants) {
  const std::size_t end = note.find('\n');
  const TileVariant* variant = find_variant(variants, note.substr(0, end));
  if (end == std::string::npos || variant == nullptr) return std::nullopt;
  return TileChoice{*variant, note.substr(end + 1)};
}

TileChoice measured_once(Backend& backend, const Variants& variants, const PipelineCache& notes,
                         const Use& use) {
  const TileChoice first{variants[0], "not measured, because the result could not be kept"};
  if (const auto kept = read(notes.read_note(kNote), variants)) return *kept;
  // Tries whether a note can be kept, before it measures.
  notes.write_note(kNote, kMeasuring);
  if (notes.read_note(kNote) != kMeasuring) return first;
  const TileChoice choice = measure(backend, variants, notes, use);
  const std::string note = fmt::format("{}\n{}", choice.variant.name, choice.reason);
  notes.write_note(kNote, note);
  return notes.read_note(kNote) == note ? choice : first;
}

}  // namespace

const TileVariant& tile_variant(const std::string& name) {
  if (const TileVariant* variant = find_variant(kTileVariants, name)) return *variant;
  throw Error(ErrorKind::invalid_argument,
              fmt::format("tiles: expected float16, float32, matrix-64 or matrix-128, got \"{}\"",
                          printable(name)));
}

std::vector<TileVariant> tile_variants(const DeviceCaps& caps) {
  std::vector<TileVariant> variants;
  for (const TileVariant& variant : kTileVariants) {
    const std::uint32_t size = variant.matrix_tile;
    if (size == 0 ? caps.packed_halves || !variant.float16_tiles
                  : matrix_tile(caps, size, size).has_value())
      variants.push_back(variant);
  }
  return variants;
}

void check_tiles(const std::string& name, const DeviceCaps& caps) {
  if (name.empty()) return;
  const TileVariant& variant = tile_variant(name);
  const char* lacks = nullptr;
  const std::uint32_t size = variant.matrix_tile;
  if (size != 0 && !matrix_units(caps))
    lacks = "matrix units";
  else if (size != 0 && !matrix_tile(caps, size, size))
    lacks = "shared memory for such a tile";
  if (variant.float16_tiles && !caps.packed_halves) lacks = "float16 arithmetic";
  if (lacks == nullptr) return;
  throw Error(ErrorKind::unsupported,
              fmt::format("vulkan: tiles: {} needs {}, and {} has none that this program can use",
                          name, lacks, caps.name));
}

VariantChoice choose_tiles(Backend& backend, const std::string& wanted,
                           const std::vector<TileVariant>& variants, VariantChoice choice,
                           const PipelineCache& notes, const Use& use) {
  const TileVariant* asked = find_variant(variants, wanted);
  if (asked == nullptr && !wanted.empty())
    throw Error(ErrorKind::unsupported,
                fmt::format("vulkan: tiles: {} computes wrong results here: {}", printable(wanted),
                            choice.reason));
  TileChoice chosen{variants[0], ""};
  if (asked != nullptr)
    chosen = {*asked, "it is asked for"};
  else if (variants.size() > 1)
    chosen = measured_once(backend, variants, notes, use);
  use(chosen.variant);
  choice.variant = chosen.variant.name;
  if (!chosen.reason.empty()) choice.reason += (choice.reason.empty() ? "" : "; ") + chosen.reason;
  return choice;
}

}  // namespace bitaxon::vulkan
