// Reads tokenizer.json. The names and defaults of fields come from the serialization of the
// components in Hugging Face tokenizers (models/bpe/serialization.rs, pre_tokenizers/*.rs, ...).
#include <fmt/format.h>

#include <unordered_set>

#include "bitaxon/error.h"
#include "formats/json.h"
#include "tokenizer/bpe.h"
#include "tokenizer/bpe_document.h"
#include "tokenizer/utf8.h"

namespace bitaxon {

namespace {

const Json& null_json() {
  static const Json null;
  return null;
}

const Json& field(const Json& object, std::string_view key) {
  const auto found = object.find(key);
  return found == object.end() ? null_json() : *found;
}

bool flag(const Json& object, std::string_view key, bool otherwise, const Place& place) {
  const Json& value = field(object, key);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean())
    place.at(key).broken("expected true or false, got " + place.brief(value));
  return value.get<bool>();
}

std::string type_of(const Json& component, const Place& place) {
  const Json& type = field(component, "type");
  if (!component.is_object() || !type.is_string())
    place.broken("expected an object with a type, got " + place.brief(component));
  return type.get<std::string>();
}

// The members of a Sequence, which are in the field `key`. The key depends on the kind of
// component.
const Json& members(const Json& sequence, std::string_view key, const Place& place) {
  const Json& list = field(sequence, key);
  if (!list.is_array()) place.at(key).broken("expected an array, got " + place.brief(list));
  return list;
}

bool reads_nfc(const Json& normalizer, const Place& place) {
  if (normalizer.is_null()) return false;
  const std::string type = type_of(normalizer, place);
  if (type == "NFC") return true;
  if (type != "Sequence") place.unsupported("null or NFC", normalizer);
  bool nfc = false;
  const Json& list = members(normalizer, "normalizers", place);
  for (std::size_t i = 0; i < list.size(); ++i)
    nfc |= reads_nfc(list[i], place.at("normalizers").at(i));
  return nfc;
}

SplitPattern read_split(const Json& split, const Place& place) {
  if (const Json& behavior = field(split, "behavior"); behavior != "Isolated")
    place.at("behavior").unsupported("\"Isolated\"", behavior);
  if (flag(split, "invert", false, place)) place.at("invert").unsupported("false", Json(true));
  const Json& pattern = field(split, "pattern");
  const Json& regex = pattern.is_object() ? field(pattern, "Regex") : null_json();
  if (!regex.is_string()) place.at("pattern").unsupported("{\"Regex\": ...}", pattern);
  return SplitPattern(regex.get_ref<const std::string&>(), place.text());
}

void read_byte_level(const Json& component, const Place& place, PreTokenizer& out) {
  out.add_prefix_space = flag(component, "add_prefix_space", true, place);
  if (flag(component, "use_regex", true, place)) out.gpt2.emplace_back(kGpt2Pattern, place.text());
}

PreTokenizer read_pre_tokenizer(const Json& component, const Place& place) {
  constexpr std::string_view kExpected = "Splits and then a ByteLevel";
  PreTokenizer out;
  if (component.is_null()) place.unsupported(kExpected, component);
  const std::string type = type_of(component, place);
  if (type == "ByteLevel") {
    read_byte_level(component, place, out);
    return out;
  }
  if (type != "Sequence") place.unsupported(kExpected, component);
  const Json& list = members(component, "pretokenizers", place);
  const Place list_place = place.at("pretokenizers");
  if (list.empty()) list_place.unsupported(kExpected, list);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string expected = i + 1 < list.size() ? "Split" : "ByteLevel";
    if (type_of(list[i], list_place.at(i)) != expected)
      list_place.at(i).unsupported(expected, list[i]);
    if (expected == "Split") {
      out.patterns.push_back(read_split(list[i], list_place.at(i)));
    } else {
      read_byte_level(list[i], list_place.at(i), out);
    }
  }
  return out;
}

// Refuses a post-processor that adds tokens, because encode() adds no tokens around the text. A
// ByteLevel post-processor is accepted. It only changes offsets, which this program does not use.
void check_post_processor(const Json& component, const Place& place) {
  if (component.is_null()) return;
  const std::string type = type_of(component, place);
  if (type == "ByteLevel") return;
  if (type == "Sequence") {
    const Json& list = members(component, "processors", place);
    for (std::size_t i = 0; i < list.size(); ++i)
      check_post_processor(list[i], place.at("processors").at(i));
    return;
  }
  if (type != "TemplateProcessing") place.unsupported("ByteLevel or null", component);
  for (const Json& item : members(component, "single", place))
    if (!item.is_object() || !item.contains("Sequence"))
      place.at("single").unsupported("a template that adds no token", item);
}

void check_decoder(const Json& component, const Place& place) {
  if (component.is_null() || type_of(component, place) != "ByteLevel")
    place.unsupported("ByteLevel", component);
}

AddedToken read_added_token(const Json& json, const Place& place) {
  if (!json.is_object()) place.broken("expected an object, got " + place.brief(json));
  const Json& content = field(json, "content");
  if (!content.is_string())
    place.at("content").broken("expected a string, got " + place.brief(content));
  const Json& id = field(json, "id");
  if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= kMaxTokenIds)
    place.at("id").broken(
        fmt::format("expected 0 to {}, got {}", kMaxTokenIds - 1, place.brief(id)));
  AddedToken token;
  token.id = id.get<std::int32_t>();
  token.content = content.get<std::string>();
  token.single_word = flag(json, "single_word", false, place);
  token.lstrip = flag(json, "lstrip", false, place);
  token.rstrip = flag(json, "rstrip", false, place);
  token.special = flag(json, "special", false, place);
  token.normalized = flag(json, "normalized", !token.special, place);
  return token;
}

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
    AddedToken token = read_added_token(list[i], place.at(i));
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

// Refuses settings that would change the ids. Byte-level files do not use these settings.
void check_unused(const Json& model, const Place& place) {
  if (const Json& dropout = field(model, "dropout"); !dropout.is_null() && dropout != 0)
    place.at("dropout").unsupported("null", dropout);
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const Json& affix = field(model, key); !affix.is_null() && affix != "")
      place.at(key).unsupported("null or \"\"", affix);
  if (flag(model, "byte_fallback", false, place))
    place.at("byte_fallback").unsupported("false", Json(true));
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
  file.nfc = reads_nfc(field(tree, "normalizer"), root.at("normalizer"));
  file.pre_tokenizer = read_pre_tokenizer(field(tree, "pre_tokenizer"), root.at("pre_tokenizer"));
  check_post_processor(field(tree, "post_processor"), root.at("post_processor"));
  check_decoder(field(tree, "decoder"), root.at("decoder"));
  file.added_tokens =
      read_added_tokens(field(tree, "added_tokens"), root.at("added_tokens"), file.vocabulary);
  return file;
}

}  // namespace bitaxon
