#include "bitaxon/c/bitaxon.h"
#include "c_abi/generation.h"

using namespace bitaxon;
using namespace bitaxon::c;

namespace {

/// Calls work(state), which feeds `n_ids` ids. If it throws, the state stays as before.
template <class Work>
void feed_or_not(StateUse& use, std::size_t n_ids, const Work& work) {
  State& state = use.state();
  if (n_ids > static_cast<std::size_t>(kMaxRows) || use.session().model.run_ahead() == 0) {
    State fed = state.fork();
    work(fed);
    state = std::move(fed);
    return;
  }
  // One step, which can be taken back. A fork could take back no earlier steps.
  const std::int64_t before = state.position();
  try {
    work(state);
  } catch (...) {
    if (state.position() != before && state.rewindable_steps() > 0) state.rewind(1);
    throw;
  }
}

StepOutput output_of(std::int32_t which) {
  switch (which) {
    case BITAXON_LOGITS_NONE:
      return StepOutput::none;
    case BITAXON_LOGITS_LAST:
      return StepOutput::last_logits;
    case BITAXON_LOGITS_ALL:
      return StepOutput::all_logits;
    default:
      refuse(fmt::format("which: expected BITAXON_LOGITS_NONE, LAST or ALL, got {}", which));
  }
}

std::span<const std::int32_t> checked_ids(StateUse& use, const std::int32_t* ids,
                                          std::uint64_t n_ids, std::int64_t most) {
  const auto checked = span_of(ids, n_ids, static_cast<std::uint64_t>(most), "ids");
  use.session().model.check_ids(checked);
  return checked;
}

}  // namespace

bitaxon_status bitaxon_step(bitaxon_state* state, const int32_t* ids, uint64_t n_ids, int32_t which,
                            bitaxon_buffer* logits) {
  return guard([&] {
    StateUse use(state);
    const StepOutput output = output_of(which);
    if (output != StepOutput::none) not_null(logits, "logits");
    if (n_ids == 0) refuse("ids: expected at least one, got none");
    Model& model = use.session().model;
    const auto given =
        checked_ids(use, ids, n_ids, output == StepOutput::all_logits ? kMaxRows : model.context());
    const std::size_t n_rows = output == StepOutput::none          ? 0
                               : output == StepOutput::last_logits ? 1
                                                                   : given.size();
    std::vector<float> values(n_rows * static_cast<std::size_t>(model.spec().vocab_size));
    const std::string_view bytes = bytes_of(std::span<const float>(values));
    reserve(logits, bytes.size());
    feed_or_not(use, given.size(), [&](State& fed) {
      const Ticket ticket = model.feed(fed, given, output);
      if (values.empty())
        model.wait(ticket);
      else
        model.read_logits(values);
    });
    fill(logits, bytes);
  });
}

bitaxon_status bitaxon_step_token(bitaxon_state* state, const int32_t* ids, uint64_t n_ids,
                                  const bitaxon_sampler* sampler, int32_t* token) {
  return guard([&] {
    StateUse use(state);
    not_null(token, "token");
    const SamplerParams params = sampler_of(sampler);
    Model& model = use.session().model;
    const auto given = checked_ids(use, ids, n_ids, model.context());
    if (given.empty() && !use.state().has_sampled_token())
      refuse("ids: expected at least one, because the latest step has drawn no token");
    feed_or_not(use, given.size(), [&](State& fed) {
      const SegmentInput latest{&fed, {}, params, StepOutput::token};
      const Ticket ticket = given.empty() ? model.submit({&latest, 1})
                                          : model.feed(fed, given, StepOutput::token, params);
      const std::int32_t drawn = model.wait(ticket).tokens.front();
      if (drawn < 0)
        throw Failure(BITAXON_STATUS_DEVICE,
                      "the logits are not finite: the weights hold NaN or Inf, or values overflow");
      *token = drawn;
    });
  });
}
