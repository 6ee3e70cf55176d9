#include "bitaxon/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "bitaxon/error.h"
#include "bitaxon/step_limits.h"

namespace bitaxon {
namespace {

/// The most logits that are in memory at a time.
constexpr std::int64_t kMaxLogits = 16 << 20;

/// Windows of the text that are fed together.
struct Batch {
  std::int64_t first = 0;  ///< index of the first token of the first window
  std::int64_t end = 0;    ///< index of the token after the last token that is fed
  std::int64_t seq_length = 0;
  std::int64_t stride = 0;  ///< from the first token of a window to that of the next window

  std::int64_t n_windows() const { return (end - first - 1) / stride + 1; }
  std::int64_t begin_of(std::int64_t window) const { return first + window * stride; }
  /// The number of tokens that are fed. Only the last window may be shorter than the others.
  std::int64_t n_fed() const {
    const std::int64_t last = n_windows() - 1;
    return last * seq_length + std::min(seq_length, end - begin_of(last));
  }
};

/// The tokens of one window that one step feeds.
struct Piece {
  std::size_t window = 0;  ///< index in the batch
  std::int64_t first = 0;  ///< index of the first token
  std::int64_t n_tokens = 0;
};

/// The next piece of each window, after `done` tokens of each window were fed. All pieces together
/// have at most `max_rows` rows, but each piece has at least one row. Empty if all windows are
/// done. Only the last window may be shorter than the others.
std::vector<Piece> pieces_at(const Batch& batch, std::int64_t done, std::int64_t max_rows) {
  std::vector<Piece> pieces;
  for (std::int64_t w = 0; w < batch.n_windows(); ++w) {
    const std::int64_t begin = batch.begin_of(w) + done;
    const std::int64_t end = std::min(begin - done + batch.seq_length, batch.end);
    if (begin < end) pieces.push_back({static_cast<std::size_t>(w), begin, end - begin});
  }
  if (pieces.empty()) return pieces;
  const std::int64_t share = std::max<std::int64_t>(1, max_rows / std::ssize(pieces));
  for (Piece& piece : pieces) piece.n_tokens = std::min(piece.n_tokens, share);
  return pieces;
}

/// Feeds the text to one model.
class Reader {
 public:
  Reader(Model& model, std::int64_t batch_size) : model_(model) {
    for (std::int64_t i = 0; i < batch_size; ++i) states_.push_back(model.new_state());
  }

  void begin_batch(bool carry) {
    if (carry) return;
    for (State& state : states_) state.reset();
  }
  void feed(std::span<const std::int32_t> ids, std::span<const Piece> pieces) {
    segments_.clear();
    std::size_t n_rows = 0;
    for (const Piece& piece : pieces) {
      const auto n = static_cast<std::size_t>(piece.n_tokens);
      segments_.push_back({.state = &states_[piece.window],
                           .ids = ids.subspan(static_cast<std::size_t>(piece.first), n),
                           .sampler = {},
                           .output = StepOutput::all_logits});
      n_rows += n;
    }
    model_.submit(segments_);
    logits_.resize(n_rows * row_size());
    model_.read_logits(logits_);
  }
  /// A row of the logits of the latest pieces. The rows are in the order of the pieces.
  std::span<const float> row(std::size_t index) const {
    return std::span(logits_).subspan(index * row_size(), row_size());
  }
  std::int64_t vocab_size() const { return model_.spec().vocab_size; }

 private:
  std::size_t row_size() const { return static_cast<std::size_t>(vocab_size()); }

  Model& model_;
  std::vector<State> states_;
  std::vector<SegmentInput> segments_;
  std::vector<float> logits_;
};

/// The normalizer of a softmax: the logarithm of the sum of the exponentials of the logits.
struct Normalizer {
  std::size_t likeliest = 0;
  double log_sum = 0;

  /// Throws Error(device) if a logit is not finite. Even -inf is refused, because it would make a
  /// divergence NaN although the sum is finite.
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
  return std::max(0.0, sum);  // rounding may make the sum negative; finite logits keep it finite
}

void check(Model& model, std::span<const std::int32_t> ids, const EvaluationOptions& options) {
  model.check_ids(ids);
  if (options.seq_length < 1)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("[evaluate] sequence length: expected at least 1, got {}", options.seq_length));
  const std::int64_t n_fed = std::ssize(ids) - 1;
  const std::int64_t longest = options.carry ? n_fed : std::min(n_fed, options.seq_length);
  if (longest > model.context())
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{}: expected at most {} tokens ({}), got {}",
                            options.carry ? "a carried text" : "a window", model.context(),
                            model.context() < model.spec().max_seq_len ? "the context that fits"
                                                                       : "max_seq_len",
                            longest));
}

/// Throws Error(invalid_argument) unless the text consists of whole sequences.
void check_apart(std::span<const std::int32_t> ids, const EvaluationOptions& options) {
  const std::int64_t length = options.seq_length + 1;
  if (options.carry || std::ssize(ids) % length != 0)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[evaluate] sequences apart: expected a multiple of {} tokens and no "
                            "carried state, got {} tokens",
                            length, ids.size()));
}

void check_batch_size(const EvaluationOptions& options) {
  const std::int64_t max = options.carry ? 1 : kMaxSegments;
  if (options.batch_size < 1 || options.batch_size > max)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[evaluate] batch size: expected 1..{}{}, got {}", max,
                            options.carry ? " for a carried text" : "", options.batch_size));
}

/// How well one token was predicted.
struct Score {
  double nll = 0;
  double nll_against = 0, kl = 0;  ///< set if there is a second model
  bool agrees = false;
};

Score score_of(const Reader& model, const Reader* against, std::size_t row, std::int64_t token,
               std::int32_t next) {
  const auto index = static_cast<std::size_t>(next);
  const std::span<const float> logits = model.row(row);
  const Normalizer normalizer(logits, token);
  Score score{.nll = normalizer.log_sum - double{logits[index]}};
  if (against == nullptr) return score;
  const std::span<const float> others = against->row(row);
  const Normalizer of_others(others, token);
  score.nll_against = of_others.log_sum - double{others[index]};
  score.kl = kl_divergence(others, of_others, logits, normalizer);
  score.agrees = normalizer.likeliest == of_others.likeliest;
  return score;
}

/// Scores the predictions of a batch, in the order of the text. Calls `go_on` after each step with
/// the number of tokens that the step predicted. If `go_on` returns false, stops and returns false.
bool score_batch(std::span<const std::int32_t> ids, const Batch& batch, Reader& model,
                 Reader* against, std::vector<Score>& scores,
                 const std::function<bool(std::int64_t n_more)>& go_on) {
  scores.resize(static_cast<std::size_t>(batch.n_fed()));
  const std::int64_t max_rows =
      std::clamp<std::int64_t>(kMaxLogits / model.vocab_size(), 1, kMaxRows);
  std::int64_t n_of_each = 0;
  for (auto pieces = pieces_at(batch, 0, max_rows); !pieces.empty();
       pieces = pieces_at(batch, n_of_each, max_rows)) {
    model.feed(ids, pieces);
    if (against != nullptr) against->feed(ids, pieces);
    std::size_t row = 0;
    for (const Piece& piece : pieces) {
      std::size_t place = piece.window * static_cast<std::size_t>(batch.seq_length) +
                          static_cast<std::size_t>(n_of_each);
      for (std::int64_t at = piece.first; at < piece.first + piece.n_tokens; ++at)
        scores[place++] =
            score_of(model, against, row++, at, ids[static_cast<std::size_t>(at) + 1]);
    }
    n_of_each += pieces.front().n_tokens;  // a shorter piece ends its window
    if (!go_on(static_cast<std::int64_t>(row))) return false;
  }
  return true;
}

/// Collects the scores of the text.
class Tally {
 public:
  Tally(bool has_second, Evaluation& result) : has_second_(has_second), result_(result) {}

  /// Adds the scores of a batch in the order of the text, so that the sums have the same bits for
  /// every batch size.
  void add(std::span<const Score> scores) {
    for (const Score& score : scores) {
      result_.model.add(score.nll);
      if (!has_second_) continue;
      result_.against.add(score.nll_against);
      kl_.push_back(score.kl);
      n_agree_ += score.agrees ? 1 : 0;
    }
  }

  void finish() {
    if (!has_second_) return;
    Divergence divergence;
    for (const double value : kl_) divergence.mean_kl += value;
    divergence.mean_kl /= static_cast<double>(kl_.size());
    // The smallest value that at least 99 percent of the values do not exceed.
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

/// Feeds ids to a state and returns the logits of the step.
std::vector<float> logits_after(Model& model, State& state, std::span<const std::int32_t> ids) {
  const SegmentInput segment{
      .state = &state, .ids = ids, .sampler = {}, .output = StepOutput::all_logits};
  model.submit({&segment, 1});
  std::vector<float> logits(ids.size() * static_cast<std::size_t>(model.spec().vocab_size));
  model.read_logits(logits);
  return logits;
}

void check_answer(const Model& model, std::span<const std::int32_t> answer) {
  if (answer.empty() || std::ssize(answer) > kMaxRows)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("[evaluate] answer: expected 1..{} tokens, got {}", kMaxRows, answer.size()));
  model.check_ids(answer);
}

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
                                   const std::atomic<bool>* interrupted) {
  if (ids.size() < 2)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("[evaluate] text: expected at least 2 tokens, got {}", ids.size()));
  check_batch_size(options);
  check(model, ids, options);
  if (options.apart) check_apart(ids, options);
  if (against != nullptr) check(*against, ids, options);
  const auto start = std::chrono::steady_clock::now();
  Evaluation result;
  Tally tally(against != nullptr, result);
  Reader reader(model, options.batch_size);
  std::optional<Reader> second;
  if (against != nullptr) second.emplace(*against, options.batch_size);
  // In a text of one piece, the last token is predicted and not fed.
  const std::int64_t end = std::ssize(ids) - (options.apart ? 0 : 1);
  std::int64_t n_done = 0;
  const auto go_on = [&](std::int64_t n_more) {
    n_done += n_more;
    if (on_progress) on_progress(static_cast<std::uint64_t>(n_done));
    return interrupted == nullptr || !*interrupted;
  };
  Batch batch{.seq_length = std::min(options.seq_length, end)};
  batch.stride = batch.seq_length + (options.apart ? 1 : 0);
  for (std::vector<Score> scores; batch.first < end; batch.first = batch.end) {
    batch.end = std::min(batch.first + options.batch_size * batch.stride, end);
    reader.begin_batch(options.carry);
    if (second) second->begin_batch(options.carry);
    if (!score_batch(ids, batch, reader, second ? &*second : nullptr, scores, go_on))
      return std::nullopt;
    tally.add(scores);
    result.windows += batch.n_windows();
  }
  tally.finish();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

std::optional<std::vector<double>> score_answers(Model& model, std::span<const std::int32_t> prompt,
                                                 std::span<const std::vector<std::int32_t>> answers,
                                                 const std::atomic<bool>* interrupted) {
  for (const std::vector<std::int32_t>& answer : answers) check_answer(model, answer);
  const auto may_go_on = [&] { return interrupted == nullptr || !*interrupted; };
  const auto row_size = static_cast<std::size_t>(model.spec().vocab_size);
  State state = model.new_state();
  model.feed(state, prompt, StepOutput::last_logits, {}, [&](Ticket) { return may_go_on(); });
  if (!may_go_on()) return std::nullopt;
  std::vector<float> first(row_size);
  model.read_logits(first);
  const bool is_continued =
      std::ranges::any_of(answers, [](const auto& answer) { return answer.size() > 1; });
  const StateSnapshot after_prompt = is_continued ? state.snapshot() : StateSnapshot{};
  const std::int64_t n_prompt = std::ssize(prompt);

  std::vector<double> nlls;
  for (const std::span<const std::int32_t> answer : answers) {
    const auto nll = [&](std::span<const float> row, std::size_t i) {
      const Normalizer normalizer(row, n_prompt + static_cast<std::int64_t>(i));
      return normalizer.log_sum - double{row[static_cast<std::size_t>(answer[i])]};
    };
    double sum = nll(first, 0);
    if (answer.size() > 1) {
      const std::vector<float> logits = logits_after(model, state, answer.first(answer.size() - 1));
      for (std::size_t i = 1; i < answer.size(); ++i)
        sum += nll(std::span(logits).subspan((i - 1) * row_size, row_size), i);
      state.restore(after_prompt);
    }
    nlls.push_back(sum);
    if (!may_go_on()) return std::nullopt;
  }
  return nlls;
}

}  // namespace bitaxon
