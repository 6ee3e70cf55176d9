#include "training/run/progress_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace bitaxon {

void LineMeans::add(const UpdateResult& update, std::int64_t n_pairs, double seconds) {
  const auto weight = static_cast<double>(n_pairs > 0 ? n_pairs : update.n_targets);
  weight_ += weight;
  loss_ += weight * update.loss;
  accuracy_ += weight * update.orpo.accuracy;
  margin_ += weight * update.orpo.margin;
  tokens_ += static_cast<double>(update.n_tokens);
  seconds_ += seconds;
}

void EvaluationMeans::add(const LossSum& part, std::int64_t n_tokens) {
  const auto weight = static_cast<double>(part.n_targets);
  sum_.loss += part.loss;
  sum_.n_targets += part.n_targets;
  sum_.orpo.nll += weight * part.orpo.nll;
  sum_.orpo.accuracy += weight * part.orpo.accuracy;
  sum_.orpo.margin += weight * part.orpo.margin;
  n_tokens_ += n_tokens;
}

std::string duration_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::clamp(seconds, 0.0, 1e12));
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m", s / 60);
  if (s < 86400) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{:02}h", s / 86400, s / 3600 % 24);
}

std::string step_line(std::int64_t step, std::int64_t max_steps, Objective objective,
                      const UpdateResult& latest, const LineMeans& means, const Measured& measured,
                      double left_seconds) {
  std::string line = fmt::format("Step {}/{}  Loss: {:.4f}", step, max_steps, means.loss());
  if (objective == Objective::orpo)
    line += fmt::format("  acc {:.2f}  margin {:.3f}", means.accuracy(), means.margin());
  line += fmt::format("  grad {:.2f}  lr {:.1e}  {:.0f} tok/s  {:.1f} GB", latest.grad_norm,
                      latest.learning_rate, means.tokens_per_second(),
                      static_cast<double>(measured.memory_bytes) / 1e9);
  if (measured.temperature) line += fmt::format("  {:.0f} C", *measured.temperature);
  return line + fmt::format("  eta {}", duration_text(left_seconds));
}

std::string evaluation_line(std::int64_t step, std::int64_t max_steps, Objective objective,
                            const EvaluationMeans& means, bool is_best) {
  const std::string more =
      objective == Objective::orpo
          ? fmt::format("acc {:.2f}  margin {:.3f}", means.accuracy(), means.margin())
          : fmt::format("ppl {:.2f}", std::exp(means.loss()));
  return fmt::format("Eval {}/{}  loss {:.4f}  {}{}", step, max_steps, means.loss(), more,
                     is_best ? "  (best)" : "");
}

Json update_metrics(const RunState& state, const UpdateResult& update, Objective objective,
                    double beta, const Measured& measured) {
  Json json = {{"step", state.step},
               {"micro", state.place.micro_batch},
               {"loss", finite_or_null(update.loss)},
               {"tokens", state.tokens},
               {"target_tokens", state.target_tokens},
               {"grad_norm", finite_or_null(update.grad_norm)},
               {"clipped", update.clipped},
               {"lr", update.learning_rate},
               {"tok_s", finite_or_null(measured.tokens_per_second)},
               {"seconds", state.seconds},
               {"memory_bytes", measured.memory_bytes},
               {"temperature", measured.temperature ? Json(*measured.temperature) : Json(nullptr)},
               {"pause_s", state.pause_seconds},
               {"skipped", state.skipped}};
  if (objective == Objective::orpo)
    json.update({{"nll", finite_or_null(update.orpo.nll)},
                 {"penalty", finite_or_null(update.orpo.penalty)},
                 {"chosen_logp", finite_or_null(update.orpo.chosen)},
                 {"rejected_logp", finite_or_null(update.orpo.rejected)},
                 {"margin", finite_or_null(update.orpo.margin)},
                 {"accuracy", finite_or_null(update.orpo.accuracy)},
                 {"chosen_reward", finite_or_null(beta * update.orpo.chosen)},
                 {"rejected_reward", finite_or_null(beta * update.orpo.rejected)}});
  return json;
}

Json evaluation_metrics(const RunState& state, Objective objective, const EvaluationMeans& means) {
  const double nll = means.nll(objective);
  Json json = {{"step", state.step},
               {"micro", state.place.micro_batch},
               {"eval_loss", finite_or_null(means.loss())},
               {"eval_ppl", finite_or_null(std::exp(nll))},
               {"eval_tokens", means.n_tokens()}};
  if (objective == Objective::orpo)
    json.update({{"eval_nll", finite_or_null(nll)},
                 {"eval_margin", finite_or_null(means.margin())},
                 {"eval_accuracy", finite_or_null(means.accuracy())}});
  return json;
}

Json event_metrics(const char* event, const RunState& state) {
  return {{"event", event}, {"step", state.step}, {"micro", state.place.micro_batch}};
}

}  // namespace bitaxon
