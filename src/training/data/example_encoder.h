// Examples as tokens with their targets.
#pragma once

#include <span>
#include <vector>

#include "training/data/dataset.h"
#include "training/data/example.h"

namespace bitaxon {

/// Encodes examples with the tokenizer and the chat template of a model. May be used from several
/// threads.
class ExampleEncoder {
 public:
  /// Throws Error(invalid_argument) for options that exclude each other.
  ExampleEncoder(Vocabulary vocabulary, JinjaTemplate chat_template, const DataOptions& options);

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const DataOptions& options() const { return options_; }
  /// Throws Error(unsupported) if the tokenizer lacks the special tokens of ChatML, which then would
  /// be plain text to the model.
  void expect_chat_tokens() const;
  /// Throws Error(format) without a place if the template refuses the conversation, or if the borders
  /// of its targets are not known.
  EncodedExample encode(const Example& example) const;

 private:
  MaskedTokens encode_text(const std::string& text) const;
  /// A conversation whose targets are in the messages from `first` on.
  MaskedTokens encode_chat(std::span<const ChatMessage> messages, std::size_t first) const;
  void mark_contents(std::span<const ChatMessage> messages, std::size_t first,
                     MaskedTokens& tokens) const;
  MaskedTokens encode_like_original(std::span<const ChatMessage> messages, std::size_t first) const;
  /// Cuts the tokens and maps them to the ids of the model.
  void finish(MaskedTokens& tokens, std::vector<std::int32_t>& unmapped) const;

  Vocabulary vocabulary_;
  JinjaTemplate chat_template_;
  DataOptions options_;
};

}  // namespace bitaxon
