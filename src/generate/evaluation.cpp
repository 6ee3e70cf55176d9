#include "generate/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "bitaxon/error.h"
#include "core/step.h"

namespace bitaxon {
namespace {

constexpr StepOptions kAllLogits{StepOutput::all_logits, false};
/// Bound of the logits that are held at a time.
constexpr std::int64_t kMaxLogits = 16 << 20;

/// One model at work on the text.
class Reader {
 public:
  explicit Reader(Model& model) : model_(model), state_(model.new_state()) {}

  void begin_window(bool carry) {
    if (!carry) state_.reset();
  }
  void feed(std::span<const std::int32_t> ids) {
    model_.feed(state_, ids, kAllLogits);
    logits_.resize(ids.size() * vocab_size());
    model_.read_logits(logits_);
  }
  std::span<const float> row(std::size_t index) const {
    return std::span(logits_).subspan(index * vocab_size(), vocab_size());
  }

 private:
  std::size_t vocab_size() const { return static_cast<std::size_t>(model_.config().vocab_size); }

  Model& model_;
  State state_;
  std::vector<float> logits_;
};

/// The logarithm of the sum of exponentials of logits.
struct Normalizer {
  std::size_t likeliest = 0;
  double log_sum = 0;

  /// Throws Error(device) when one is not finite. Not even -inf may be there: it would pass through
  /// the sum, and make of a divergence a NaN.
  Normalizer(std::span<const float> logits, std::int64_t token) {
    const auto odd = std::ranges::find_if(logits, [](float x) { return !std::isfinite(x); });
    if (odd != logits.end())
      throw Error(ErrorKind::device,
                  fmt::format("[evaluate] logits of token {}: expected finite numbers, got {} for "
                              "id {}",
                              token, *odd, odd - logits.begin()));
    likeliest = static_cast<std::size_t>(std::ranges::max_element(logits) - logits.begin());
    const double max = logits[likeliest];
    double sum = 0;
    for (const float logit : logits) sum += std::exp(double{logit} - max);
    log_sum = max + std::log(sum);
  }
};

double kl_divergence(std::span<const float> p, const Normalizer& of_p, std::span<const float> q,
                     const Normalizer& of_q) {
  double sum = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    const double log_p = double{p[i]} - of_p.log_sum;
    sum += std::exp(log_p) * (log_p - (double{q[i]} - of_q.log_sum));
  }
  return std::max(0.0, sum);  // rounding; finite, as the logits are
}

void check(Model& model, std::span<const std::int32_t> ids, const EvaluationOptions& options) {
  model.check_ids(ids);
  const std::int64_t n_fed = std::ssize(ids) - 1;
  const std::int64_t longest = options.carry ? n_fed : std::min(n_fed, options.seq_length);
  if (longest > model.config().max_seq_len)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{}: expected at most {} tokens (max_seq_len), got {}",
                            options.carry ? "a carried text" : "a window",
                            model.config().max_seq_len, longest));
}

/// What is gathered over the text.
class Tally {
 public:
  Tally(bool has_second, Evaluation& result) : has_second_(has_second), result_(result) {}

  void add(const Reader& model, const Reader* against, std::size_t row, std::int32_t next) {
    const std::int64_t token = result_.model.tokens;
    const std::span<const float> logits = model.row(row);
    const Normalizer normalizer(logits, token);
    const auto index = static_cast<std::size_t>(next);
    result_.model.add(normalizer.log_sum - double{logits[index]});
    if (!has_second_) return;
    const std::span<const float> others = against->row(row);
    const Normalizer of_others(others, token);
    result_.against.add(of_others.log_sum - double{others[index]});
    kl_.push_back(kl_divergence(others, of_others, logits, normalizer));
    n_agree_ += normalizer.likeliest == of_others.likeliest ? 1 : 0;
  }

  void finish() {
    if (!has_second_) return;
    Divergence divergence;
    for (const double value : kl_) divergence.mean_kl += value;
    divergence.mean_kl /= static_cast<double>(kl_.size());
    // The smallest value that at least 99 of 100 do not exceed.
    const std::size_t rank = (kl_.size() * 99 + 99) / 100 - 1;
    std::nth_element(kl_.begin(), kl_.begin() + static_cast<std::ptrdiff_t>(rank), kl_.end());
    divergence.kl_99 = kl_[rank];
    divergence.top1_agreement = static_cast<double>(n_agree_) / static_cast<double>(kl_.size());
    result_.divergence = divergence;
  }

 private:
  bool has_second_;
  Evaluation& result_;
  std::vector<double> kl_;
  std::int64_t n_agree_ = 0;
};

}  // namespace

void Perplexity::add(double nll) {
  ++tokens;
  nll_sum += nll;
  nll_squares += nll * nll;
}

double Perplexity::nll_per_token() const { return nll_sum / static_cast<double>(tokens); }

double Perplexity::value() const { return std::exp(nll_per_token()); }

double Perplexity::std_error() const {
  if (tokens < 2) return std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<double>(tokens);
  const double mean = nll_per_token();
  const double variance = std::max(0.0, nll_squares / n - mean * mean) * n / (n - 1);
  return value() * std::sqrt(variance / n);
}

std::optional<Evaluation> evaluate(Model& model, Model* against, std::span<const std::int32_t> ids,
                                   const EvaluationOptions& options,
                                   const std::function<void(std::uint64_t done)>& on_progress,
                                   const std::atomic<bool>& interrupted) {
  if (ids.size() < 2)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[evaluate] text: expected at least 2 tokens, got {}", ids.size()));
  check(model, ids, options);
  if (against != nullptr) check(*against, ids, options);
  const auto start = std::chrono::steady_clock::now();
  Evaluation result;
  Tally tally(against != nullptr, result);
  Reader reader(model);
  std::optional<Reader> second;
  if (against != nullptr) second.emplace(*against);
  const std::int64_t n_fed = std::ssize(ids) - 1;
  const std::int64_t piece_rows =
      std::clamp<std::int64_t>(kMaxLogits / model.config().vocab_size, 1, kMaxRows);
  for (std::int64_t window = 0; window < n_fed; window += options.seq_length) {
    const std::int64_t end = std::min(window + options.seq_length, n_fed);
    reader.begin_window(options.carry);
    if (second) second->begin_window(options.carry);
    for (std::int64_t at = window; at < end; at += piece_rows) {
      if (interrupted) return std::nullopt;
      const auto n = static_cast<std::size_t>(std::min(piece_rows, end - at));
      const auto piece = ids.subspan(static_cast<std::size_t>(at), n);
      reader.feed(piece);
      if (second) second->feed(piece);
      for (std::size_t i = 0; i < n; ++i)
        tally.add(reader, second ? &*second : nullptr, i,
                  ids[static_cast<std::size_t>(at) + i + 1]);
      on_progress(static_cast<std::uint64_t>(at) + n);
    }
    ++result.windows;
  }
  tally.finish();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace bitaxon
