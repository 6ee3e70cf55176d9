// A conversation: its messages, and the ids that the state holds of them.
#pragma once

#include <string>
#include <vector>

#include "chat_prompt.h"
#include "formats/json.h"

namespace bitaxon::tool {

/// A conversation. The template renders all its messages for every answer. What the state already
/// holds is kept as ids, which are never turned into text and back. If the template changes the text
/// of an earlier answer, for example by dropping its thoughts, the state goes back to the last point
/// that both texts share.
class Conversation {
 public:
  /// The forks of the state that a conversation may hold at the same time.
  static int n_forks(const RunOptions& run, const ChatPrompt& prompt);

  /// `session` must have a model that was loaded with n_forks() forks.
  Conversation(const RunOptions& run, const ChatPrompt& prompt, Session& session, State& state,
               GenerateOptions options);

  void reset();
  /// Answers one question. Returns false if the context has no room for the question.
  bool answer(const std::string& question);
  /// Whether the context had no place for the last token of the last answer.
  bool last_is_unfed() const { return last_is_unfed_; }

 private:
  /// A point to which the state can go back.
  struct Point {
    std::size_t n_ids = 0;  ///< ids of the history before the point
    State state;
  };
  /// The ids that follow the first `kept` ids of the history.
  struct Plan {
    std::size_t kept = 0;
    std::vector<std::int32_t> ids;
    std::size_t shared = 0;   ///< of `ids`, those that do not depend on the beginning of the answer
    std::string text;         ///< the whole text
    bool in_thought = false;  ///< whether the template has opened a thought at the end
  };

  /// Forgets the conversation, but not the state.
  void begin();
  /// The ids of a text from byte `first` on.
  std::vector<std::int32_t> ids_from(const ChatText& text, std::size_t first) const;
  Plan plan(const std::string& messages) const;
  void go_back(std::size_t kept);
  /// Feeds the history up to `n_ids` and remembers the state there.
  void mark(std::size_t n_ids);
  GenerateResult feed(std::size_t n_ids, const GenerateOptions& options);

  const RunOptions& run_;
  const ChatPrompt& prompt_;
  Session& session_;
  State& state_;
  GenerateOptions options_;
  Json messages_ = Json::array();
  std::int64_t base_ = 0;              ///< number of tokens in a loaded state, without known ids
  std::vector<std::int32_t> history_;  ///< later ids; the last of them may not be fed yet
  bool last_is_unfed_ = false;
  std::string text_;           ///< the text of the history
  std::vector<Point> points_;  ///< the beginning, if a state was loaded, and the last turn
};

}  // namespace bitaxon::tool
