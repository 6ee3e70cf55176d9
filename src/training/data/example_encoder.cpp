#include "training/data/example_encoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "bitaxon/error.h"
#include "training/data/chat_text.h"
#include "training/data/token_borders.h"

namespace bitaxon {
namespace {

bool contains(const std::vector<std::int32_t>& ids, std::int32_t id) {
  return std::ranges::find(ids, id) != ids.end();
}

bool is_answer(const ChatMessage& message) { return message.role == "assistant"; }

/// The indices of the messages from `first` on that are answers; only the last one for
/// TrainOn::last.
std::vector<std::size_t> answers_of(std::span<const ChatMessage> messages, std::size_t first,
                                    TrainOn train_on) {
  std::vector<std::size_t> answers;
  for (std::size_t i = first; i < messages.size(); ++i)
    if (is_answer(messages[i])) answers.push_back(i);
  if (train_on == TrainOn::last && answers.size() > 1)
    answers.erase(answers.begin(), answers.end() - 1);
  return answers;
}

void mark(std::vector<bool>& is_target, std::size_t begin, std::size_t end) {
  for (std::size_t i = begin; i < end; ++i) is_target[i] = true;
}

}  // namespace

ExampleEncoder::ExampleEncoder(Vocabulary vocabulary, JinjaTemplate chat_template,
                               const DataOptions& options)
    : vocabulary_(std::move(vocabulary)),
      chat_template_(std::move(chat_template)),
      options_(options) {
  if (options.max_seq_len < 2)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("max-seq-len: expected at least 2 tokens, got {}", options.max_seq_len));
  if (options.mask == MaskStyle::like_original && !is_chatml(chat_template_))
    throw Error(ErrorKind::invalid_argument,
                fmt::format("mask: expected ChatML for like-original, got the chat template of {}",
                            chat_template_.origin()));
}

void ExampleEncoder::expect_chat_tokens() const {
  if (!is_chatml(chat_template_)) return;
  const std::vector<std::string> missing =
      missing_tokens(ChatTemplate::chatml, vocabulary_.tokenizer());
  if (!missing.empty())
    throw Error(
        ErrorKind::unsupported,
        fmt::format("conversations: expected a tokenizer with the special tokens of the chat "
                    "template, got one without {}; examples of the form {{\"text\": ...}} "
                    "need none",
                    fmt::join(missing, " and ")));
}

EncodedExample ExampleEncoder::encode(const Example& example) const {
  EncodedExample out;
  if (example.form == ExampleForm::text) {
    out.text = encode_text(example.text);
  } else if (is_pair(example.form)) {
    const auto with_answer = [&](const std::vector<ChatMessage>& answer) {
      std::vector<ChatMessage> messages = example.messages;
      messages.insert(messages.end(), answer.begin(), answer.end());
      return encode_chat(messages, example.messages.size());
    };
    out.text = with_answer(example.chosen);
    out.rejected = with_answer(example.rejected);
  } else {
    out.text = encode_chat(example.messages, 0);
  }
  finish(out.text, out.unmapped);
  finish(out.rejected, out.unmapped);
  return out;
}

MaskedTokens ExampleEncoder::encode_text(const std::string& text) const {
  MaskedTokens tokens;
  const Tokenizer& tokenizer = vocabulary_.tokenizer();
  tokens.ids = tokenizer.encode(text, {.add_special = true});
  const std::vector<std::int32_t>& ends = tokenizer.ends_of_sequence();
  if (!ends.empty() && !(tokens.ids.size() > 0 && contains(ends, tokens.ids.back())))
    tokens.ids.push_back(ends.front());
  tokens.is_target.assign(tokens.ids.size(), true);
  return tokens;
}

MaskedTokens ExampleEncoder::encode_chat(std::span<const ChatMessage> messages,
                                         std::size_t first) const {
  if (options_.mask == MaskStyle::like_original) return encode_like_original(messages, first);
  MaskedTokens tokens;
  mark_contents(messages, first, tokens);
  if (options_.train_on != TrainOn::all) return tokens;
  // Of a pair, only what follows the prompt is learned.
  const auto begin = std::ranges::find(tokens.is_target, true);
  std::fill(first == 0 ? tokens.is_target.begin() : begin, tokens.is_target.end(), true);
  return tokens;
}

void ExampleEncoder::mark_contents(std::span<const ChatMessage> messages, std::size_t first,
                                   MaskedTokens& tokens) const {
  const Tokenizer& tokenizer = vocabulary_.tokenizer();
  const ConversationText text = conversation_text(chat_template_, messages);
  tokens.ids = tokenizer.encode(text.chat.text, {.plain = text.chat.input});
  tokens.is_target.assign(tokens.ids.size(), false);
  const TokenBorders borders(tokenizer, text.chat, tokens.ids);
  for (const std::size_t i : answers_of(messages, first, options_.train_on)) {
    const TextRange content = text.contents[i];
    const std::size_t end = borders.token_at(content.end);
    std::size_t begin = borders.token_at(content.begin);
    // A token that crosses the border is a target only if the model has to write all of it.
    if (borders.crosses(content.begin)) {
      const auto own = answer_begin(chat_template_, messages, i, text.chat.text);
      if (own && borders.token_at(*own) < begin) --begin;
    }
    // The template may write something between the content and the end of the turn, which the model
    // must write too.
    const auto next = std::ranges::find_if(
        text.chat.input, [&](const TextRange& input) { return input.begin >= content.end; });
    const std::size_t limit =
        next == text.chat.input.end() ? tokens.ids.size() : borders.token_at(next->begin);
    std::size_t stop = end;
    while (stop < limit && !contains(tokenizer.ends_of_sequence(), tokens.ids[stop])) ++stop;
    if (stop == limit)
      throw Error(ErrorKind::format,
                  fmt::format("{}: expected an end of sequence after each answer, got none after "
                              "message {}",
                              chat_template_.origin(), i));
    mark(tokens.is_target, begin, stop + 1);
  }
}

MaskedTokens ExampleEncoder::encode_like_original(std::span<const ChatMessage> messages,
                                                  std::size_t first) const {
  const Tokenizer& tokenizer = vocabulary_.tokenizer();
  const ConversationText text = conversation_text(chat_template_, messages);
  MaskedTokens tokens;
  tokens.ids = tokenizer.encode(text.chat.text, {.plain = text.chat.input});
  tokens.is_target.assign(tokens.ids.size(), false);
  const TokenBorders borders(tokenizer, text.chat, tokens.ids);
  const auto begin_of = [&](std::size_t i) { return borders.token_at(text.begins[i]); };
  const bool is_pair = first > 0;
  if (is_pair)
    mark(tokens.is_target, begin_of(first), tokens.ids.size());
  else
    for (const std::size_t i : answers_of(messages, first, options_.train_on))
      mark(tokens.is_target, begin_of(i), begin_of(i + 1));
  tokens.ids.push_back(tokenizer.token_id("<|im_end|>").value());
  tokens.is_target.push_back(is_pair || is_answer(messages.back()));
  if (options_.train_on == TrainOn::all && !is_pair)
    tokens.is_target.assign(tokens.ids.size(), true);
  return tokens;
}

void ExampleEncoder::finish(MaskedTokens& tokens, std::vector<std::int32_t>& unmapped) const {
  tokens.full_length = std::ssize(tokens.ids);
  const auto n = static_cast<std::size_t>(std::min(tokens.full_length, options_.max_seq_len));
  tokens.ids.resize(n);
  tokens.is_target.resize(n);
  for (std::int32_t& id : tokens.ids) {
    const std::optional<std::int32_t> image = vocabulary_.to_model(id);
    if (!image && !contains(unmapped, id)) unmapped.push_back(id);
    id = image.value_or(0);
  }
}

}  // namespace bitaxon
