#include "compare/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <set>

#include "generate/decoder.h"

namespace bitaxon::tool {
namespace {

using Clock = std::chrono::steady_clock;

SamplerParams greedy() {
  SamplerParams params;
  params.temperature = 0;
  return params;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// A model that runs on one device.
class Side {
 public:
  Side(Model& model, ComparedDevice& record)
      : model_(model), record_(record), state_(model.new_state()) {
    record_.backend = caps_of(model.backend()).name;
    record_.name = caps_of(model.backend()).device;
    record_.precision = model.precision();
  }

  /// Throws Error(invalid_argument) for ids outside the vocabulary, or too many ids.
  void check(std::span<const std::int32_t> ids) const {
    model_.check_ids(ids);
    state_.check_room(std::ssize(ids));
  }
  /// Prepares every kind of step that will be timed. If a driver compiles kernels at their first
  /// use, this runs each kind once. The state is reset afterwards.
  void warm_up(std::span<const std::int32_t> ids, std::span<const std::size_t> pieces,
               bool generates, const std::atomic<bool>& interrupted);
  /// Feeds one piece. Its outputs can be read until the next call.
  void feed(std::span<const std::int32_t> ids);
  /// The greedy token after the last piece; -1 if its logits are not finite.
  std::int32_t first_greedy_token() const { return likeliest(last_row()); }
  std::span<const float> layer(std::int64_t index);
  std::span<const float> logits() const { return logits_; }
  std::span<const float> last_row() const {
    return logits().last(static_cast<std::size_t>(model_.spec().vocab_size));
  }
  /// Generates n tokens after the fed ids.
  void generate(std::int64_t n, const std::atomic<bool>& interrupted);
  /// The logits after the fed ids and the first n generated tokens.
  std::vector<float> logits_after(std::int64_t n);

 private:
  /// A step of one piece with all outputs.
  Ticket submit(std::span<const std::int32_t> ids) {
    const SegmentInput segment{&state_, ids, {}, kAllOutputs.output};
    return model_.submit({&segment, 1}, {.layer_outputs = kAllOutputs.layer_outputs});
  }

  Model& model_;
  ComparedDevice& record_;
  State state_;
  std::vector<float> logits_, layer_;
  std::int64_t n_rows_ = 0;  ///< number of rows of the last piece
  StateSnapshot after_prompt_;
};

void Side::warm_up(std::span<const std::int32_t> ids, std::span<const std::size_t> pieces,
                   bool generates, const std::atomic<bool>& interrupted) {
  const bool compiles_late = caps_of(model_.backend()).compiles_late;
  const std::set<std::size_t> sizes(pieces.begin(), pieces.end());
  for (const std::size_t size : sizes) {
    if (interrupted) return;
    model_.prepare(static_cast<std::int64_t>(size), kAllOutputs);
    if (!compiles_late) continue;
    model_.wait(submit(ids.first(size)));
    state_.reset();
  }
  if (!generates) return;
  model_.prepare(1, {StepOutput::token}, greedy());
  if (compiles_late) model_.wait(model_.feed(state_, ids.first(1), StepOutput::token, greedy()));
  state_.reset();
}

void Side::feed(std::span<const std::int32_t> ids) {
  n_rows_ = std::ssize(ids);
  const Clock::time_point start = Clock::now();
  model_.wait(submit(ids));
  record_.prefill_seconds += seconds_since(start);
  logits_.resize(static_cast<std::size_t>(n_rows_ * model_.spec().vocab_size));
  model_.read_logits(logits_);
}

std::span<const float> Side::layer(std::int64_t index) {
  layer_.resize(static_cast<std::size_t>(n_rows_ * model_.spec().d_model));
  model_.read_layer(index, layer_);
  return layer_;
}

void Side::generate(std::int64_t n, const std::atomic<bool>& interrupted) {
  after_prompt_ = state_.snapshot();
  std::vector<std::int32_t>& tokens = record_.greedy_tokens;
  tokens = {first_greedy_token()};
  const std::int32_t first = tokens[0];
  // The first token is known. The decoder samples the other tokens.
  Decoder decoder(model_, {{.state = &state_, .ids = {&first, 1}, .sampler = greedy()}},
                  {.max_tokens = n - 1});
  const Clock::time_point start = Clock::now();
  while (std::ssize(tokens) < n && tokens.back() >= 0 && !interrupted)
    tokens.push_back(decoder.next().front());
  record_.decode_seconds = seconds_since(start);
  decoder.finish();
}

std::vector<float> Side::logits_after(std::int64_t n) {
  if (n == 0) return {last_row().begin(), last_row().end()};
  state_.restore(after_prompt_);
  // The tokens are fed one at a time, as they were generated.
  for (std::int64_t i = 0; i < n; ++i)
    model_.feed(state_, {&record_.greedy_tokens[static_cast<std::size_t>(i)], 1},
                i + 1 < n ? StepOutput::none : StepOutput::last_logits);
  std::vector<float> logits(static_cast<std::size_t>(model_.spec().vocab_size));
  model_.read_logits(logits);
  return logits;
}

void add_piece(Side& a, Side& b, std::int64_t n_rows, Comparison& found) {
  for (std::size_t i = 0; i < found.layers.size(); ++i) {
    const auto index = static_cast<std::int64_t>(i);
    found.layers[i].add(a.layer(index), b.layer(index), n_rows);
  }
  found.logits.add(a.logits(), b.logits(), n_rows);
  const auto vocab_size = static_cast<std::size_t>(found.spec.vocab_size);
  for (std::size_t at = 0; at < a.logits().size(); at += vocab_size) {
    const std::int32_t token = likeliest(a.logits().subspan(at, vocab_size));
    if (token >= 0 && token == likeliest(b.logits().subspan(at, vocab_size)))
      ++found.n_same_likeliest;
  }
}

void compare_greedy_tokens(Side& a, Side& b, Comparison& found) {
  const std::vector<std::int32_t>& of_a = found.a.greedy_tokens;
  const std::vector<std::int32_t>& of_b = found.b.greedy_tokens;
  std::size_t same = 0;
  while (same < of_a.size() && same < of_b.size() && of_a[same] == of_b[same] && of_a[same] >= 0)
    ++same;
  found.n_same_greedy = static_cast<std::int64_t>(same);
  if (found.n_same_greedy == found.n_greedy) return;
  found.parting = parting_of(of_a[same], of_b[same], a.logits_after(found.n_same_greedy),
                             b.logits_after(found.n_same_greedy), found.tolerance);
}

}  // namespace

double ComparedDevice::decode_tokens_per_sec() const {
  if (greedy_tokens.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(greedy_tokens.size() - 1) / decode_seconds;
}

double Comparison::prefill_tokens_per_sec(const ComparedDevice& device) const {
  return static_cast<double>(n_rows) / device.prefill_seconds;
}

std::optional<Comparison> compare(const DevicePair& devices, const ComparisonInput& input,
                                  const Tolerance& tolerance, const std::atomic<bool>& interrupted,
                                  const std::function<void(std::size_t n_rows)>& on_progress) {
  Comparison found;
  found.spec = devices.a.spec();
  found.tolerance = tolerance;
  found.n_rows = std::ssize(input.ids);
  found.n_pieces = input.pieces.size();
  found.layers.resize(static_cast<std::size_t>(found.spec.n_blocks()));
  found.n_greedy =
      std::min(input.max_tokens, std::min(devices.a.context(), devices.b.context()) - found.n_rows);
  Side a(devices.a, found.a);
  Side b(devices.b, found.b);
  a.check(input.ids);
  for (Side* side : {&a, &b})
    side->warm_up(input.ids, input.pieces, found.n_greedy > 0, interrupted);
  if (interrupted) return std::nullopt;
  std::size_t done = 0;
  for (const std::size_t piece : input.pieces) {
    const auto ids = std::span(input.ids).subspan(done, piece);
    a.feed(ids);
    b.feed(ids);
    add_piece(a, b, static_cast<std::int64_t>(piece), found);
    done += piece;
    on_progress(done);
    if (interrupted) return std::nullopt;
  }
  if (found.n_greedy > 0) {
    a.generate(found.n_greedy, interrupted);
    b.generate(found.n_greedy, interrupted);
    if (interrupted) return std::nullopt;
    compare_greedy_tokens(a, b, found);
  }
  return found;
}

std::optional<Finding> first_beyond_tolerance(const Comparison& comparison) {
  for (std::size_t i = 0; i < comparison.layers.size(); ++i)
    if (auto problem = comparison.layers[i].problem(comparison.tolerance); !problem.empty())
      return Finding{fmt::format("layer {}", i), std::move(problem)};
  if (auto problem = comparison.logits.problem(comparison.tolerance); !problem.empty())
    return Finding{"logits", std::move(problem)};
  if (!comparison.parting || comparison.parting->is_near_tie) return std::nullopt;
  const Parting& parting = *comparison.parting;
  if (parting.a_token < 0 || parting.b_token < 0)
    return Finding{"greedy", fmt::format("token {}: expected finite logits, got others on {}",
                                         comparison.n_same_greedy,
                                         parting.a_token >= 0   ? "b"
                                         : parting.b_token >= 0 ? "a"
                                                                : "a and b")};
  if (!(parting.relative_l2 <= comparison.tolerance.row))
    return Finding{"greedy", fmt::format("relative L2 of the logits of token {}: expected at most "
                                         "{:.2e}, got {:.2e}",
                                         comparison.n_same_greedy, comparison.tolerance.row,
                                         parting.relative_l2)};
  return Finding{"greedy",
                 fmt::format("token {}: expected the same or a gap of at most {:.2e}, "
                             "got {} and {} with gaps {:.2e} on a and {:.2e} on b",
                             comparison.n_same_greedy, parting.near_tie_bound, parting.a_token,
                             parting.b_token, parting.a_gap, parting.b_gap)};
}

}  // namespace bitaxon::tool
