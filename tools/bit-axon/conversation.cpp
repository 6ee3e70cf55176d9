#include "conversation.h"

#include <algorithm>

#include "bitaxon/error.h"
#include "console.h"
#include "thoughts.h"

namespace bitaxon::tool {
namespace {

std::size_t common_prefix(const std::vector<std::int32_t>& a, const std::vector<std::int32_t>& b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

}  // namespace

int Conversation::n_forks(const RunOptions& run, const ChatPrompt& prompt) {
  if (!prompt.may_rewrite()) return 0;
  return run.load_state.empty() ? 1 : 2;
}

Conversation::Conversation(const RunOptions& run, const ChatPrompt& prompt, Session& session,
                           State& state, GenerateOptions options)
    : run_(run), prompt_(prompt), session_(session), state_(state), options_(std::move(options)) {
  base_ = state.position();
  begin();
}

void Conversation::begin() {
  history_.clear();
  text_.clear();
  last_is_unfed_ = false;
  points_.clear();
  messages_ = Json::array();
  if (!run_.system.empty()) messages_.push_back({{"role", "system"}, {"content", run_.system}});
}

void Conversation::reset() {
  state_.reset();
  base_ = 0;
  begin();
}

std::vector<std::int32_t> Conversation::ids_from(const ChatText& text, std::size_t first) const {
  std::vector<std::int32_t> ids = chat_ids(*session_.vocabulary, rest_of(text, first));
  // generate() would feed this token by itself.
  const std::optional<std::int32_t> beginning = session_.model.spec().beginning;
  if (first == 0 && base_ == 0 && beginning && (ids.empty() || ids.front() != *beginning))
    ids.insert(ids.begin(), *beginning);
  return ids;
}

Conversation::Plan Conversation::plan(const std::string& messages) const {
  const ChatText whole = prompt_.render(messages, true, base_ > 0);
  Plan plan;
  plan.text = whole.text;
  plan.in_thought = opens_thought(whole);
  std::size_t first = 0;  // the first byte of the text that plan.ids stand for
  if (whole.text.starts_with(text_)) {
    plan.kept = history_.size();
    first = text_.size();
    plan.ids = ids_from(whole, first);
  } else {
    plan.ids = ids_from(whole, 0);
    const std::size_t same = common_prefix(plan.ids, history_);
    for (const Point& point : points_)
      if (point.n_ids <= same) plan.kept = std::max(plan.kept, point.n_ids);
    plan.ids.erase(plan.ids.begin(), plan.ids.begin() + static_cast<std::ptrdiff_t>(plan.kept));
  }
  if (!prompt_.may_rewrite()) return plan;
  const ChatText asked = prompt_.render(messages, false, base_ > 0);
  if (first > asked.text.size()) return plan;
  std::vector<std::int32_t> ids = ids_from(asked, first);
  if (first == 0) {
    const std::size_t skipped = std::min(plan.kept, ids.size());
    ids.erase(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(skipped));
  }
  plan.shared = common_prefix(ids, plan.ids);
  return plan;
}

void Conversation::go_back(std::size_t kept) {
  if (kept == history_.size()) return;
  const auto point = std::ranges::find(points_, kept, &Point::n_ids);
  if (point != points_.end()) {
    // The state's own slot becomes free for the new fork.
    state_ = std::move(point->state);
    point->state = state_.fork();
  } else {
    state_.reset();
  }
  history_.resize(kept);
  std::erase_if(points_, [&](const Point& other) { return other.n_ids > kept; });
}

GenerateResult Conversation::feed(std::size_t n_ids, const GenerateOptions& options) {
  // If Ctrl-C interrupted the feeding of an earlier prompt, the rest of that prompt is fed first.
  const auto fed = static_cast<std::size_t>(state_.position() - base_);
  return generate(session_.model, state_, &*session_.vocabulary,
                  std::span<const std::int32_t>(history_).subspan(fed, n_ids - fed), options);
}

void Conversation::mark(std::size_t n_ids) {
  const auto fed = static_cast<std::size_t>(state_.position() - base_);
  if (n_ids <= fed || n_ids >= history_.size()) return;
  GenerateOptions nothing;
  nothing.max_tokens = 0;
  nothing.interrupted = options_.interrupted;
  feed(n_ids, nothing);
  if (state_.position() - base_ != static_cast<std::int64_t>(n_ids)) return;  // interrupted
  std::erase_if(points_, [](const Point& point) { return point.n_ids > 0; });
  points_.push_back({n_ids, state_.fork()});
}

bool Conversation::answer(const std::string& question) {
  session_.vocabulary->check_utf8("question", question);
  Json messages = messages_;
  messages.push_back({{"role", "user"}, {"content", question}});
  Plan next = plan(messages.dump());
  const auto total = base_ + std::ssize(next.ids) + static_cast<std::ptrdiff_t>(next.kept);
  if (total >= session_.model.context()) return false;
  if (base_ > 0 && history_.empty() && prompt_.may_rewrite()) points_.push_back({0, state_.fork()});
  go_back(next.kept);
  history_.insert(history_.end(), next.ids.begin(), next.ids.end());
  text_ = std::move(next.text);
  if (next.shared > 0) mark(next.kept + next.shared);
  GenerateOptions options = options_;
  const std::function<void()> end_stream =
      run_.no_stream ? std::function<void()>([] {}) : stream_text(options, next.in_thought);
  const GenerateResult result = feed(history_.size(), options);
  last_is_unfed_ = result.last_is_unfed;
  end_stream();
  if (run_.no_stream) print(result.text);
  print("\n");
  flush();
  history_.insert(history_.end(), result.token_ids.begin(), result.token_ids.end());
  text_ += result.text;
  messages.push_back({{"role", "assistant"}, {"content", result.text}});
  messages_ = std::move(messages);
  if (!run_.output.quiet) note_dim(footer(result));
  return !result.context_full;
}

}  // namespace bitaxon::tool
