// A small model that does everything that a program does with a model.
#pragma once

#include <cstdint>
#include <vector>

#include "bitaxon/model.h"
#include "support/borrowed_backend.h"
#include "support/small_models.h"
#include "vulkan/vulkan_backend.h"

namespace bitaxon::vulkan::test {

/// The configuration of a model with one layer of each kind.
inline BitAxonConfig three_layers() {
  BitAxonConfig config = bitaxon::test::small_config();
  config.num_layers = 3;
  return config;
}

struct Results {
  std::vector<float> logits;
  std::vector<std::int32_t> tokens;
  StateSnapshot snapshot;
  friend bool operator==(const Results& a, const Results& b) {
    return bitaxon::test::same_bits(a.logits, b.logits) && a.tokens == b.tokens &&
           a.snapshot == b.snapshot;
  }
};

/// A model and a state on a backend. The functions do everything that a program does with a model.
class Life {
 public:
  explicit Life(Backend& backend)
      : backend_(backend),
        model_(Model::random(bitaxon::test::borrowed(backend), three_layers().spec(), 1, {})),
        state_(model_.new_state()) {}

  /// Starts some steps and does not wait for them.
  void start() {
    state_.reset();
    const std::vector<std::int32_t> ids = bitaxon::test::random_ids(3, model_.spec().vocab_size, 1);
    model_.feed(state_, ids, StepOutput::token);
    const SegmentInput next{&state_, {}, {}};
    for (int i = 0; i < 2; ++i) model_.submit({&next, 1});
  }

  Results run() {
    Results results;
    state_.reset();
    const std::vector<std::int32_t> ids = bitaxon::test::random_ids(7, model_.spec().vocab_size, 1);
    results.logits.resize(ids.size() * static_cast<std::size_t>(model_.spec().vocab_size));
    model_.feed(state_, ids, StepOutput::all_logits);
    model_.read_logits(results.logits);
    results.snapshot = state_.snapshot();
    decode(ids[0], results.tokens);
    state_.restore(results.snapshot);
    decode(ids[1], results.tokens);
    backend_.last_step_times();
    return results;
  }

 private:
  /// Samples tokens. While the program waits for a step, another step is already in flight.
  void decode(std::int32_t first, std::vector<std::int32_t>& tokens) {
    std::vector<Ticket> tickets = {model_.feed(state_, {&first, 1}, StepOutput::token)};
    const SegmentInput next{&state_, {}, {}};
    for (std::size_t i = 0; i < 6; ++i) {
      tickets.push_back(model_.submit({&next, 1}));
      if (i >= 1) tokens.push_back(model_.wait(tickets[i - 1]).tokens[0]);
    }
  }

  Backend& backend_;
  Model model_;
  State state_;
};

}  // namespace bitaxon::vulkan::test
