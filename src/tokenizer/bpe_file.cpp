// Reads tokenizer.json. The names and defaults of fields come from the serialization in Hugging Face
// tokenizers (models/bpe/serialization.rs, tokenizer/added_vocabulary.rs).
#include <fmt/format.h>

#include <unordered_set>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "platform/utf8.h"
#include "tokenizer/bpe.h"
#include "tokenizer/bpe_document.h"
#include "tokenizer/component_json.h"
#include "tokenizer/pipeline_file.h"

namespace bitaxon {

namespace {

// Reads the added tokens. An added token may also be in the vocabulary, with the same id. In all
// other cases, two tokens with the same id or the same text are an error.
std::vector<AddedToken> read_added_tokens(const Json& list, const Place& place,
                                          const BpeVocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  if (list.is_null()) return tokens;
  if (!list.is_array()) place.broken("expected an array, got " + place.brief(list));
  std::unordered_set<std::int32_t> ids;
  std::unordered_set<std::string> contents;
  for (std::size_t i = 0; i < vocabulary.size(); ++i) ids.insert(vocabulary.id(i));
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Place at = place.at(i);
    AddedToken token = read_added_token(list[i], at);
    token.id = id_of(field(list[i], "id"), at.at("id"));
    if (token.content.empty()) continue;
    if (!contents.insert(token.content).second)
      place.at(i).broken(fmt::format("the token {} appears twice", in_quotes(token.content)));
    const auto known = vocabulary.find(token.content);
    if (known ? *known != token.id : !ids.insert(token.id).second)
      place.at(i).broken(fmt::format("the id {} of {} is taken, or differs from the vocabulary",
                                     token.id, in_quotes(token.content)));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

// Finds the ids of all merges. The rank of a merge is its position in the list.
MergeTable resolve_merges(const std::vector<MergeText>& merges, const BpeVocabulary& vocabulary,
                          const Place& place) {
  MergeTable table(merges.size());
  std::string joined;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto id_of = [&](const std::string& token) {
      const auto id = vocabulary.find(token);
      if (!id)
        place.at(rank).broken(
            fmt::format("the token {} is not in the vocabulary", in_quotes(token)));
      return *id;
    };
    const std::int32_t left = id_of(merges[rank].left);
    const std::int32_t right = id_of(merges[rank].right);
    joined.assign(merges[rank].left).append(merges[rank].right);
    table.add(left, right, {static_cast<std::uint32_t>(rank), id_of(joined)});
  }
  return table;
}

// Refuses settings that would change the ids.
void check_unused(const Json& model, const Place& place) {
  if (const Json& dropout = field(model, "dropout"); !dropout.is_null() && dropout != 0)
    place.at("dropout").unsupported("null", dropout);
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const Json& affix = field(model, key); !affix.is_null() && affix != "")
      place.at(key).unsupported("null or \"\"", affix);
}

void read_unknown(const Json& model, const Place& place, BpeFile& file) {
  file.fuse_unknown = flag(model, "fuse_unk", false, place);
  const Json& token = field(model, "unk_token");
  if (token.is_null()) return;
  if (!token.is_string())
    place.at("unk_token").broken("expected a string, got " + place.brief(token));
  file.unknown_token = token.get<std::string>();
  // Only the vocabulary counts here, not an added token of this name (models/bpe/model.rs,
  // merge_word). Many files name a token that no text needs, so a missing token is an error only
  // when a text needs it.
  file.unknown = file.vocabulary.find(*file.unknown_token);
}

// The ids that surround a text must have tokens.
void check_around(const BpeFile& file, const Place& place) {
  if (file.around.before.empty() && file.around.after.empty()) return;
  std::unordered_set<std::int32_t> ids;
  for (std::size_t i = 0; i < file.vocabulary.size(); ++i) ids.insert(file.vocabulary.id(i));
  for (const AddedToken& token : file.added_tokens) ids.insert(token.id);
  for (const auto* list : {&file.around.before, &file.around.after})
    for (const std::int32_t id : *list)
      if (!ids.contains(id)) place.broken(fmt::format("the id {} has no token", id));
}

}  // namespace

BpeFile read_bpe_file(std::string_view json, std::string_view name) {
  const Place root{name};
  BpeDocument document = read_bpe_document(json, root);
  const Json& tree = document.tree;
  if (!tree.is_object()) root.broken("expected a JSON object");
  const Json& model = field(tree, "model");
  const Place model_place = root.at("model");
  if (!model.is_object()) model_place.broken("expected an object, got " + root.brief(model));
  // Old files have no type.
  if (const Json& type = field(model, "type"); !type.is_null() && type != "BPE")
    model_place.at("type").unsupported("\"BPE\"", type);
  if (!field(model, "vocab").is_object()) model_place.at("vocab").broken("expected an object");
  if (!field(model, "merges").is_array()) model_place.at("merges").broken("expected an array");

  BpeFile file;
  file.vocabulary = std::move(document.vocabulary);
  check_unused(model, model_place);
  read_unknown(model, model_place, file);
  file.ignore_merges = flag(model, "ignore_merges", false, model_place);
  file.merges = resolve_merges(document.merges, file.vocabulary, model_place.at("merges"));
  file.byte_fallback = flag(model, "byte_fallback", false, model_place);
  Growth growth;
  file.normalizer = read_normalizer(field(tree, "normalizer"), root.at("normalizer"), growth);
  file.pre_tokenizer =
      read_pre_tokenizer(field(tree, "pre_tokenizer"), root.at("pre_tokenizer"), growth);
  file.decoder = read_decoder(field(tree, "decoder"), root.at("decoder"));
  file.added_tokens =
      read_added_tokens(field(tree, "added_tokens"), root.at("added_tokens"), file.vocabulary);
  file.around = read_post_processor(field(tree, "post_processor"), root.at("post_processor"));
  check_around(file, root.at("post_processor"));
  return file;
}

}  // namespace bitaxon
