// A generation that Python advances token by token.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/generate.h"
#include "generate/generation.h"
#include "sequences.h"
#include "tokenizer_handle.h"

namespace bitaxon::python {

/// What a stream has generated since the last look.
struct StreamPart {
  std::vector<std::int32_t> ids;
  std::string text;
  bool is_last = false;
};

/// Generates for one sequence. Other calls may use the model between two tokens.
class Stream {
 public:
  /// Without a tokenizer, there are ids only.
  Stream(std::shared_ptr<LoadedModel> model, std::shared_ptr<Batch> batch,
         std::optional<TokenizerHandle> tokenizer, GenerateOptions options);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  /// Feeds the prompt. If the call is interrupted, the sequence is as before.
  void begin(std::vector<std::int32_t> prompt);
  /// Generates tokens until there is text, or one token if `single`. Returns what is new: part number
  /// `n_taken`. If the caller has not taken the latest part, returns it again.
  StreamPart next(bool single, std::int64_t n_taken);
  /// Generates all tokens. If the call is interrupted, the answer ends there.
  void run();
  /// Ends the answer. Does nothing if it has ended.
  void close();
  /// Ends the answer without waiting.
  void abandon();
  /// The result of a generation that has ended. Empty if it has not ended.
  const std::optional<GenerateResult>& result() const;

  /// For jobs: waits for the steps in flight.
  void hold();

 private:
  struct Work;
  std::shared_ptr<LoadedModel> model_;
  std::shared_ptr<Work> work_;
};

}  // namespace bitaxon::python
