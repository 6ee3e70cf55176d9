// The options of `bit-axon run` and `bit-axon chat`.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
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
  std::string save_state, load_state, thinking;
  std::map<std::string, Flag> flags;  ///< the flags of the sampler
  bool is_given(const std::string& flag) const {
    const auto found = flags.find(flag);
    return found != flags.end() && found->second.is_given();
  }
  bool ignore_eos = false, no_stream = false, json = false, chat = false;
};

/// The sampler and stop parameters of the flags, after checking them. Without --seed, the system
/// provides a seed.
GenerateOptions generate_options(const RunOptions& run);

/// The line that says what a saved state lacks.
inline constexpr const char* kUnfedToken =
    "the context is full: the saved state ends before the last token of the answer";

/// The line under an answer: "── 128 tokens · 42.3 tok/s · TTFT 180ms ──".
std::string footer(const GenerateResult& result);

class ChatPrompt;

/// Answers questions until the input ends. Returns the exit status.
int chat(const RunOptions& run, const ChatPrompt& prompt, Session& session, State& state,
         const GenerateOptions& options);

/// Makes `options` stream the text to stdout, with thoughts dimmed on a terminal. `in_thought`:
/// whether the prompt has opened a thought. The function that is returned ends the stream.
std::function<void()> stream_text(GenerateOptions& options, bool in_thought);

}  // namespace bitaxon::tool
