// What bitaxon_generate() and requests have in common.
#pragma once

#include <functional>
#include <vector>

#include "bitaxon/generate.h"
#include "c_abi/loaded_model.h"

namespace bitaxon::c {

SamplerParams sampler_of(const bitaxon_sampler* sampler);

/// A checked copy of what a caller asks for.
struct Wish {
  Wish(const Session& session, const std::int32_t* prompt, std::uint64_t n_prompt,
       const bitaxon_generate_options* options);

  std::vector<std::int32_t> prompt;
  GenerateOptions options;
  bitaxon_text_fn on_text;
  bitaxon_token_fn on_token;
  void* user;
  Cancel cancel;
};

/// An answer that the caller's state does not include yet.
struct Generated {
  GenerateResult result;
  std::optional<State> after;  ///< replaces the caller's state; empty if nothing was fed

  void commit(State& state) {
    if (after) state = *std::move(after);
  }
};

/// Generates an answer with a copy of the state. The thread uses the model. `keep`, which may be
/// empty, receives each piece of text before the caller's function. `cancelled`, which may be null,
/// ends the answer too.
Generated run(const Wish& wish, Session& session, const State& state,
              const std::function<void(std::string_view)>& keep,
              const std::atomic<bool>* cancelled);

/// Where a caller wants an answer. Each part may be null.
class Answer {
 public:
  /// Checks the struct.
  Answer(bitaxon_buffer* text, bitaxon_buffer* ids, bitaxon_generate_result* result);
  /// Gives everything to the caller, or nothing if there is no memory.
  void give(const GenerateResult& result) const;

 private:
  bitaxon_buffer* text_;
  bitaxon_buffer* ids_;
  bitaxon_generate_result* result_;
};

}  // namespace bitaxon::c
