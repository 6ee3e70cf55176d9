#include "tokenizer/truncation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>
#include <vector>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "tokenizer/bpe.h"
#include "tokenizer/bpe_document.h"

namespace bitaxon {
namespace {

constexpr std::uint64_t kMaxTokenizerBytes = std::uint64_t{512} << 20;
constexpr int kBytes = 256;

/// The tokens that get the last ids, in this order.
constexpr std::array<const char*, 3> kLastTokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

/// The parts of a tokenizer.json that tell which tokens it needs to reach a token.
class TokenTree {
 public:
  explicit TokenTree(const BpeDocument& document) : vocabulary_(document.vocabulary) {
    std::string joined;
    for (const MergeText& merge : document.merges) {
      joined.assign(merge.left).append(merge.right);
      const auto left = vocabulary_.find(merge.left), right = vocabulary_.find(merge.right);
      if (const auto id = vocabulary_.find(joined); id && left && right)
        made_from_.emplace(*id, std::pair(*left, *right));  // the earliest merge counts
    }
    for (std::size_t i = 0; i < vocabulary_.size(); ++i) ids_.push_back(vocabulary_.id(i));
    std::ranges::sort(ids_);
    for (const Json& token : document.tree.value("added_tokens", Json::array()))
      added_[token.value("content", "")] = token.value("id", -1);
  }

  const std::vector<std::int32_t>& ids() const { return ids_; }
  std::optional<std::int32_t> find(const std::string& token) const {
    if (const auto added = added_.find(token); added != added_.end()) return added->second;
    return vocabulary_.find(token);
  }
  /// The two tokens that a token is merged from; null for a token that no merge makes.
  const std::pair<std::int32_t, std::int32_t>* parts_of(std::int32_t id) const {
    const auto found = made_from_.find(id);
    return found == made_from_.end() ? nullptr : &found->second;
  }

 private:
  const BpeVocabulary& vocabulary_;
  std::vector<std::int32_t> ids_;
  std::unordered_map<std::int32_t, std::pair<std::int32_t, std::int32_t>> made_from_;
  std::unordered_map<std::string, std::int32_t> added_;
};

/// A choice of tokens that grows until it is full.
class Choice {
 public:
  Choice(const TokenTree& tree, std::size_t room) : tree_(tree), room_(room) {}

  /// Chooses the token and the tokens that it is merged from, if there is room for all of them.
  void add(std::int32_t id) {
    std::vector<std::int32_t> wanted, open = {id};
    while (!open.empty()) {
      const std::int32_t next = open.back();
      open.pop_back();
      if (chosen_.contains(next) || std::ranges::find(wanted, next) != wanted.end()) continue;
      wanted.push_back(next);
      if (const auto* parts = tree_.parts_of(next)) {
        open.push_back(parts->first);
        open.push_back(parts->second);
      }
    }
    if (chosen_.size() + wanted.size() > room_) return;
    chosen_.insert(wanted.begin(), wanted.end());
  }
  bool is_full() const { return chosen_.size() == room_; }
  std::vector<std::int32_t> ids() const { return {chosen_.begin(), chosen_.end()}; }

 private:
  const TokenTree& tree_;
  std::size_t room_;
  std::set<std::int32_t> chosen_;
};

using Counts = std::unordered_map<std::int32_t, std::int64_t>;

/// How often each token is in the text. The text is encoded line by line, because the ids of a whole
/// corpus would fill the memory.
Counts count_tokens(std::string_view json, std::string_view name, std::string_view text) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  const Bpe bpe = bpe_from_json(json, name);
  Counts counts;
  while (!text.empty()) {
    std::size_t end = text.size() <= kPiece ? text.size() : text.find('\n', kPiece);
    end = end >= text.size() ? text.size() : end + 1;
    for (const std::int32_t id : bpe.encode(text.substr(0, end))) ++counts[id];
    text.remove_prefix(end);
  }
  return counts;
}

/// Sorts by falling count. Tokens of equal counts stay in the order of their ids.
void sort_by_count(const Counts& counts, std::vector<std::int32_t>& ids) {
  const auto count = [&](std::int32_t id) {
    const auto found = counts.find(id);
    return found == counts.end() ? 0 : found->second;
  };
  std::ranges::stable_sort(ids,
                           [&](std::int32_t a, std::int32_t b) { return count(a) > count(b); });
}

BpeDocument read_document(std::string_view json, std::string_view name) {
  read_bpe_file(json, name);  // checks the whole file
  return read_bpe_document(json, Place(name));
}

/// Whether the tokens have names that need the newer form of merges.
bool has_spaces(const std::vector<MergeText>& merges) {
  return std::ranges::any_of(merges, [](const MergeText& merge) {
    return (merge.left + merge.right).find(' ') != std::string::npos;
  });
}

/// The merges whose tokens all are among `ids`.
Json kept_merges(const BpeDocument& document, const VocabIds& ids) {
  const auto is_kept = [&](const std::string& token) {
    const auto id = document.vocabulary.find(token);
    return id && ids.contains(*id);
  };
  const bool as_pairs = has_spaces(document.merges);
  Json merges = Json::array();
  for (const auto& [left, right] : document.merges) {
    if (!is_kept(left) || !is_kept(right) || !is_kept(left + right)) continue;
    if (as_pairs)
      merges.push_back(Json::array({left, right}));
    else
      merges.push_back(left + " " + right);
  }
  return merges;
}

}  // namespace

VocabIds choose_tokens(std::string_view json, std::string_view name, const VocabOptions& options) {
  const BpeDocument document = read_document(json, name);
  const TokenTree tree(document);
  std::vector<std::int32_t> last;
  for (const char* token : kLastTokens)
    if (const auto id = tree.find(token)) last.push_back(*id);
  std::vector<std::int32_t> others;
  for (const std::int32_t id : tree.ids())
    if (std::ranges::find(last, id) == last.end()) others.push_back(id);
  const auto n_all = static_cast<std::int64_t>(others.size() + last.size());
  const auto n_least = static_cast<std::int64_t>(kBytes + last.size());
  if (options.target_size > n_all || options.target_size < n_least)
    throw Error(
        ErrorKind::invalid_argument,
        fmt::format("{}: expected a vocabulary of {} to {} tokens, which the tokenizer has, "
                    "got {}",
                    name, n_least, n_all, options.target_size));

  Choice choice(tree, static_cast<std::size_t>(options.target_size) - last.size());
  for (int byte = 0; byte < kBytes; ++byte)
    if (const auto id = tree.find(std::string(spelling_of(static_cast<unsigned char>(byte)))))
      choice.add(*id);
  const Counts counts = options.corpus ? count_tokens(json, name, *options.corpus) : Counts();
  sort_by_count(counts, others);
  for (const std::int32_t id : others) {
    if (choice.is_full()) break;
    choice.add(id);
  }
  std::vector<std::int32_t> chosen = choice.ids();
  sort_by_count(counts, chosen);
  chosen.insert(chosen.end(), last.begin(), last.end());
  VocabIds ids;
  for (std::size_t i = 0; i < chosen.size(); ++i)
    ids.emplace(chosen[i], static_cast<std::int32_t>(i));
  return ids;
}

std::string truncate_tokenizer(std::string_view json, std::string_view name, const VocabIds& ids,
                               TokenIds numbers) {
  BpeDocument document = read_document(json, name);
  Json& tree = document.tree;
  const auto number_of = [&](std::int32_t id) -> std::optional<std::int32_t> {
    const auto found = ids.find(id);
    if (found == ids.end()) return std::nullopt;
    return numbers == TokenIds::model ? found->second : id;
  };
  const auto around = tree.find("post_processor");
  if (numbers == TokenIds::model && around != tree.end() && around->is_object() &&
      around->value("type", "") == "TemplateProcessing")
    throw Error(
        ErrorKind::unsupported,
        fmt::format("{}: post_processor: expected none with ids, got TemplateProcessing", name));

  Json added = Json::array();
  for (Json token : tree.value("added_tokens", Json::array()))
    if (const auto number = number_of(token.value("id", -1))) {
      token["id"] = *number;
      added.push_back(std::move(token));
    }
  tree["added_tokens"] = std::move(added);

  std::map<std::int32_t, std::string> tokens;
  const BpeVocabulary& vocabulary = document.vocabulary;
  for (std::size_t i = 0; i < vocabulary.size(); ++i)
    if (const auto number = number_of(vocabulary.id(i)))
      tokens.emplace(*number, vocabulary.token(i));
  Json& model = tree["model"];
  model["vocab"] = Json::object();
  // An insertion by key would search all keys before it.
  auto& vocab = model["vocab"].get_ref<Json::object_t&>();
  for (const auto& [number, token] : tokens) vocab.emplace_back(token, number);

  model["merges"] = kept_merges(document, ids);
  std::string text = tree.dump() + "\n";
  read_bpe_file(text, name);
  return text;
}

std::string byte_tokenizer_json(std::int32_t vocab_size) {
  Json vocab = Json::object(), added = Json::array();
  for (int byte = 0; byte < kBytes; ++byte)
    vocab[std::string(spelling_of(static_cast<unsigned char>(byte)))] = byte;
  // Names without a meaning for the ids between the bytes and the tokens of chats.
  const auto n_last = static_cast<std::int32_t>(kLastTokens.size());
  auto& tokens = vocab.get_ref<Json::object_t&>();
  for (std::int32_t id = kBytes; id < vocab_size - n_last; ++id)
    tokens.emplace_back(fmt::format("<|unused_{}|>", id), id);
  for (std::int32_t i = 0; i < n_last; ++i)
    added.push_back({{"id", vocab_size - n_last + i},
                     {"content", kLastTokens[static_cast<std::size_t>(i)]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  const Json tree = {
      {"version", "1.0"},
      {"added_tokens", std::move(added)},
      {"normalizer", nullptr},
      {"pre_tokenizer", std::move(byte_level)},
      {"post_processor", nullptr},
      {"decoder", {{"type", "ByteLevel"}}},
      {"model", {{"type", "BPE"}, {"vocab", std::move(vocab)}, {"merges", Json::array()}}}};
  return tree.dump() + "\n";
}

VocabIds build_vocab_mapping(const std::filesystem::path& tokenizer_json,
                             const VocabOptions& options) {
  return choose_tokens(read_whole_file(tokenizer_json, kMaxTokenizerBytes),
                       printable_path(tokenizer_json.string()), options);
}

std::string vocab_mapping_json(const VocabIds& ids) {
  std::string text;
  for (const auto& [from, to] : ids)
    text += fmt::format("{}\"{}\": {}", text.empty() ? "" : ", ", from, to);
  return "{" + text + "}";
}

std::string truncated_tokenizer(const std::filesystem::path& tokenizer_json, const VocabIds& ids,
                                TokenIds numbers) {
  return truncate_tokenizer(read_whole_file(tokenizer_json, kMaxTokenizerBytes),
                            printable_path(tokenizer_json.string()), ids, numbers);
}

}  // namespace bitaxon
