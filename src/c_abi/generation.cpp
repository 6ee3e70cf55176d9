#include "c_abi/generation.h"

#include "c_abi/structs.h"

namespace bitaxon::c {
namespace {

constexpr std::uint64_t kMaxStops = 1024;

std::vector<std::string> stops_of(const bitaxon_generate_options& options) {
  const auto texts = span_of(options.stop, options.n_stop, kMaxStops, "stop");
  const auto sizes = span_of(options.stop_sizes, options.n_stop, kMaxStops, "stop_sizes");
  std::vector<std::string> stops;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    stops.emplace_back(text_of(texts[i], sizes[i], "stop", kMaxNameBytes));
    if (stops.back().empty()) refuse("stop: expected a text that is not empty");
  }
  return stops;
}

std::int32_t reason_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return BITAXON_FINISH_STOP;
    case FinishReason::length:
      return BITAXON_FINISH_LENGTH;
    case FinishReason::interrupted:
      break;
  }
  return BITAXON_FINISH_INTERRUPTED;
}

bitaxon_generate_result struct_of(const GenerateResult& result) {
  auto out = defaults<bitaxon_generate_result>();
  out.finish_reason = reason_of(result.finish_reason);
  out.stop_token = result.stop_token.value_or(-1);
  out.context_full = result.context_full ? 1 : 0;
  out.last_is_unfed = result.last_is_unfed ? 1 : 0;
  out.prompt_tokens = result.prompt_tokens;
  out.cached_tokens = result.cached_tokens;
  out.generated_tokens = std::ssize(result.token_ids);
  out.prefill_ms = result.prefill_ms;
  out.time_to_first_token_ms = result.time_to_first_token_ms;
  out.total_ms = result.total_ms;
  out.decode_tokens_per_sec = result.decode_tokens_per_sec();
  return out;
}

}  // namespace

SamplerParams sampler_of(const bitaxon_sampler* sampler) {
  const auto known = options_of(sampler, "sampler");
  if (known.reserved != 0)
    refuse(fmt::format("sampler.reserved: expected 0, got {}", known.reserved));
  const SamplerParams params{.temperature = known.temperature,
                             .top_k = known.top_k,
                             .top_p = known.top_p,
                             .min_p = known.min_p,
                             .repetition_penalty = known.repetition_penalty,
                             .seed = known.seed};
  params.validate();
  return params;
}

Wish::Wish(const Session& session, const std::int32_t* prompt_ids, std::uint64_t n_prompt,
           const bitaxon_generate_options* given)
    : on_text(nullptr), on_token(nullptr), user(nullptr), cancel(nullptr) {
  const auto known = options_of(given, "options");
  if (n_prompt == 0) refuse("prompt: expected at least one id, got none");
  const auto most = static_cast<std::uint64_t>(session.model.context());
  const auto ids = span_of(prompt_ids, n_prompt, most, "prompt");
  session.model.check_ids(ids);
  prompt.assign(ids.begin(), ids.end());
  options.sampler = sampler_of(known.sampler);
  options.ignore_eos = flag_of(known.ignore_eos, "ignore_eos");
  if (known.max_tokens < 0)
    refuse(fmt::format("max_tokens: expected at least 0, got {}", known.max_tokens));
  options.max_tokens = known.max_tokens;
  options.stop = stops_of(known);
  if (!options.stop.empty() && !session.vocabulary)
    refuse("stop: expected a model with a tokenizer to find texts with, got one without");
  on_text = known.on_text;
  on_token = known.on_token;
  user = known.user;
  cancel = Cancel(known.cancel);
}

Generated run(const Wish& wish, Session& session, const State& state,
              const std::function<void(std::string_view)>& keep,
              const std::atomic<bool>* cancelled) {
  bool stopped = false, text_stopped = false;
  GenerateOptions options = wish.options;
  options.interrupted = cancelled;
  options.wants_end = [&] { return stopped || wish.cancel.is_set(); };
  if (keep || wish.on_text != nullptr)
    options.on_text = [&](std::string_view piece) {
      if (keep) keep(piece);
      if (wish.on_text == nullptr || text_stopped) return;
      const std::string ended(piece);  // with a 0 behind it
      if (wish.on_text(wish.user, ended.c_str(), ended.size()) != 0) stopped = text_stopped = true;
    };
  if (wish.on_token != nullptr)
    options.on_token = [&](std::int32_t token) {
      if (wish.on_token(wish.user, token) != 0) stopped = true;
    };
  if (options.wants_end() || (cancelled != nullptr && *cancelled)) {
    Generated nothing;
    nothing.result.finish_reason = FinishReason::interrupted;
    nothing.result.cached_tokens = state.position();
    return nothing;
  }
  State work = state.fork();
  const Vocabulary* vocabulary = session.vocabulary ? &*session.vocabulary : nullptr;
  GenerateResult result = generate(session.model, work, vocabulary, wish.prompt, options);
  return {std::move(result), std::move(work)};
}

Answer::Answer(bitaxon_buffer* text, bitaxon_buffer* ids, bitaxon_generate_result* result)
    : text_(text), ids_(ids), result_(result) {
  check_output(result, "result");
  if (text != nullptr && text == ids) refuse("text and ids: expected two buffers, got one");
}

void Answer::give(const GenerateResult& result) const {
  const std::string_view ids = bytes_of(std::span(result.token_ids));
  reserve(text_, result.text.size());
  reserve(ids_, ids.size());
  fill(text_, result.text);
  fill(ids_, ids);
  store(result_, struct_of(result));
}

}  // namespace bitaxon::c
