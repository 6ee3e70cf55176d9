#include "tokenizer/bpe_document.h"

#include <fmt/format.h>

#include <unordered_set>

#include "bitaxon/error.h"
#include "platform/printable.h"
#include "platform/utf8.h"
#include "tokenizer/bpe.h"

namespace bitaxon {

Place Place::at(std::string_view key) const {
  return Place(fmt::format("{}{}{}", text_, inside_ ? "." : ": ", printable(key, 60)), true);
}

Place Place::at(std::size_t index) const {
  return Place(fmt::format("{}[{}]", text_, index), true);
}

void Place::broken(std::string_view what) const {
  throw Error(ErrorKind::format, fmt::format("{}: {}", text_, what));
}

void Place::unsupported(std::string_view expected, const Json& got) const {
  throw Error(ErrorKind::unsupported,
              fmt::format("{}: expected {}, got {}", text_, expected, brief(got)));
}

void Place::unsupported(std::string_view expected) const {
  throw Error(ErrorKind::unsupported, fmt::format("{}: expected {}", text_, expected));
}

std::string Place::brief(const Json& value) {
  if (value.is_string()) return in_quotes(value.get_ref<const std::string&>());
  if (value.is_object()) {
    const auto type = value.find("type");
    return type != value.end() && type->is_string() ? brief(*type) : "an object";
  }
  return value.is_array() ? "an array" : printable_json(value);
}

namespace {

// Receives the events of the parser. Stores the vocabulary and the merges outside the tree.
class DocumentReader {
 public:
  DocumentReader(std::string_view json, const Place& place) : place_(place) {
    if (json.size() > kMaxBytes)
      place_.broken(fmt::format("expected at most {} bytes, got {}", kMaxBytes, json.size()));
    const auto callback = [this](int, Json::parse_event_t event, Json& value) {
      return on_event(event, value);
    };
    try {
      document_.tree = Json::parse(json, callback);
    } catch (const Error&) {
      // An incomplete download may have caused this error. The message then says so.
      if (open_.size() < kMaxDepth) refuse_broken_syntax(json);
      throw;
    } catch (const Json::parse_error& error) {
      not_json(error, json);
    } catch (const Json::exception&) {
      place_.broken("a number is out of range");
    }
  }

  BpeDocument take() { return std::move(document_); }

 private:
  static constexpr std::size_t kMaxBytes = std::size_t{512} << 20;
  static constexpr std::size_t kMaxDepth = 32;
  static constexpr std::size_t kMaxKeys = 1024;  // in any object except model.vocab

  using Event = Json::parse_event_t;

  [[noreturn]] void not_json(const Json::parse_error& error, std::string_view json) const {
    place_.broken(fmt::format(
        "at byte {}: not JSON{}", error.byte,
        error.byte > json.size() ? ": it ends too early, the download looks incomplete" : ""));
  }

  void refuse_broken_syntax(std::string_view json) const {
    try {
      const Json nothing = Json::parse(json, [](int, Event, Json&) { return false; });
    } catch (const Json::parse_error& error) {
      not_json(error, json);
    } catch (const Json::exception&) {  // a number out of range is well-formed
    }
  }

  // Returns true to keep the value in the tree.
  bool on_event(Event event, Json& value) {
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        return open(event == Event::object_start);
      case Event::object_end:
      case Event::array_end:
        return close();
      case Event::key:
        return on_key(value.get_ref<const std::string&>());
      case Event::value:
        return on_value(value);
    }
    return true;
  }

  // Models other than BPE have a list, which stays in the tree.
  bool in_vocabulary() const { return is_model_part("vocab") && open_[2].object; }
  bool in_merges() const { return is_model_part("merges"); }
  bool is_model_part(std::string_view part) const {
    return open_.size() >= 3 && open_[0].key == "model" && open_[1].key == part;
  }

  bool open(bool object) {
    if (open_.size() == kMaxDepth) place_.broken(fmt::format("deeper than {} levels", kMaxDepth));
    if (in_vocabulary()) bad_id("a list or an object");
    if (in_merges()) {
      if (object || open_.size() > 3) bad_merge();
      pair_.clear();
    }
    open_.push_back({object, {}, {}});
    return true;
  }

  bool close() {
    open_.pop_back();
    const bool pair = in_merges() && open_.size() == 3;
    if (!pair) return true;
    if (pair_.size() != 2) bad_merge();
    document_.merges.push_back({std::move(pair_[0]), std::move(pair_[1])});
    return false;
  }

  bool on_key(const std::string& key) {
    if (in_vocabulary()) {
      token_ = key;
      return false;
    }
    Level& level = open_.back();
    if (level.keys.size() == kMaxKeys)
      place_.broken(fmt::format("an object with more than {} keys", kMaxKeys));
    if (!level.keys.insert(key).second)
      place_.broken(fmt::format("the key {} appears twice in one object", in_quotes(key)));
    level.key = key;
    return true;
  }

  bool on_value(const Json& value) {
    if (in_vocabulary() && open_.back().object) {
      add_token(value);
      return true;  // the parser drops the value, because its key was refused
    }
    if (!in_merges() || open_[2].object) return true;
    if (!value.is_string()) bad_merge();
    const auto& text = value.get_ref<const std::string&>();
    if (open_.size() == 3) {
      add_merge(text);
    } else {
      pair_.push_back(text);
    }
    return false;
  }

  void add_token(const Json& id) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= kMaxTokenIds)
      bad_id(Place::brief(id));
    const auto number = static_cast<std::size_t>(id.get<std::uint64_t>());
    if (!document_.vocabulary.add(token_, static_cast<std::int32_t>(number)))
      place_.at("model.vocab").broken(fmt::format("the token {} appears twice", in_quotes(token_)));
    if (number >= id_taken_.size()) id_taken_.resize(number + 1);
    if (id_taken_[number])
      place_.at("model.vocab")
          .broken(fmt::format("the id {} appears twice, again for {}", number, in_quotes(token_)));
    id_taken_[number] = true;
  }

  // Adds a merge in the form "a b". Some files also hold the first line of the old merges.txt,
  // which is ignored.
  void add_merge(const std::string& text) {
    if (text.starts_with("#version")) return;
    const std::size_t space = text.find(' ');
    if (space == text.npos || text.find(' ', space + 1) != text.npos) bad_merge();
    document_.merges.push_back({text.substr(0, space), text.substr(space + 1)});
  }

  [[noreturn]] void bad_id(std::string_view got) const {
    place_.at("model.vocab")
        .broken(fmt::format("{}: expected an id from 0 to {}, got {}", in_quotes(token_),
                            kMaxTokenIds - 1, got));
  }
  [[noreturn]] void bad_merge() const {
    place_.at("model.merges")
        .at(document_.merges.size())
        .broken("expected \"a b\" or [\"a\", \"b\"]");
  }

  struct Level {
    bool object;
    std::string key;  // the last key seen
    std::unordered_set<std::string> keys;
  };

  Place place_;
  BpeDocument document_;
  std::vector<Level> open_;
  std::string token_;              // the last key of model.vocab
  std::vector<std::string> pair_;  // the merge being read
  std::vector<bool> id_taken_;
};

}  // namespace

BpeDocument read_bpe_document(std::string_view json, const Place& place) {
  return DocumentReader(json, place).take();
}

}  // namespace bitaxon
