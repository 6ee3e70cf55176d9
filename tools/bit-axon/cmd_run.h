// What `bit-axon run` was asked to do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bitaxon/generate.h"
#include "options.h"
#include "session.h"

namespace bitaxon::tool {

struct RunOptions {
  ModelOptions model;
  DeviceOptions device;
  OutputOptions output;
  std::string positional_prompt, prompt, prompt_ids, messages, system, chat_template;
  std::string max_tokens = "512", temperature = "0.6", top_k = "50", top_p = "0.95", min_p = "0",
              repetition_penalty = "1", seed, run_ahead = "2";
  std::vector<std::string> stop;
  std::string save_state, load_state;
  bool ignore_eos = false, no_stream = false, json = false, chat = false;
};

/// Sampler and stop parameters, checked. Without --seed one is taken from the system.
GenerateOptions generate_options(const RunOptions& run);

/// What --chat-template says; without the flag chatml. Throws UsageError.
ChatTemplate wanted_template(const RunOptions& run);

/// The line under an answer: "── 128 tokens · 42.3 tok/s · TTFT 180ms ──".
std::string footer(const GenerateResult& result);

/// Questions and answers until the input ends; returns the exit status.
int chat(const RunOptions& run, Session& session, State& state, const GenerateOptions& options);

}  // namespace bitaxon::tool
