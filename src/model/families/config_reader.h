// Reads the keys of a config.json that other programs wrote.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bitaxon/model_spec.h"
#include "formats/json.h"

namespace bitaxon {

/// The largest sizes that a config.json may ask for. They are far above the sizes of any model, and
/// low enough that the number of elements of every tensor fits 64 bits.
struct SizeLimit {
  static constexpr std::int64_t kVocabulary = std::int64_t{1} << 24;
  static constexpr std::int64_t kDim = std::int64_t{1} << 20;
  static constexpr std::int64_t kLayers = 4096;
  static constexpr std::int64_t kExperts = 65536;
  static constexpr std::int64_t kPositions = (std::int64_t{1} << 31) - 1;
};

/// Reads the keys of one JSON object. A key that is absent and a key whose value is null give the
/// default. Keys that nothing reads are ignored. A key may have several names, of which the first
/// in the list that the object has counts. Every function throws Error(format) that begins with the
/// file's name and names the key, the value and what was expected.
class ConfigReader {
 public:
  /// `name` begins every message. `path` begins the names of keys in messages: "rope_scaling.".
  ConfigReader(const Json& object, std::string_view name, std::string path = {});

  /// The names of a key.
  struct Names {
    const char* first;
    const char* second = nullptr;
    const char* third = nullptr;
  };
  bool has(Names names) const { return find(names).value != nullptr; }
  /// Whether the key is there with the value null, where null does not mean the default.
  bool is_null(const char* key);
  std::int64_t integer(Names names, std::int64_t otherwise, std::int64_t min, std::int64_t max);
  /// A size of a tensor: 1 to SizeLimit::kDim.
  std::int64_t size(Names names, std::int64_t otherwise) {
    return integer(names, otherwise, 1, SizeLimit::kDim);
  }
  bool boolean(Names names, bool otherwise);
  /// Whether the key has this text as its value.
  bool is_text(Names names, std::string_view text) const;
  /// A number > 0.
  double positive(Names names, double otherwise);
  std::optional<double> optional_positive(Names names);
  /// A number >= 0.
  std::optional<double> optional_not_negative(Names names);
  std::string text(Names names, std::string_view otherwise);
  /// A list of strings. Empty if the key is absent.
  std::vector<std::string> texts(Names names);
  /// A list of whole numbers >= 0. Empty if the key is absent.
  std::vector<std::int64_t> integers(Names names);
  /// The ids in a number or in a list of numbers, as ids_of() finds them. Empty if the key is absent.
  std::vector<std::int32_t> ids(Names names);
  /// A reader for a nested object. Empty if the key is absent or null.
  std::optional<ConfigReader> object(Names names);

  /// Refuses the value of a key. Throws Error(format).
  [[noreturn]] void refuse(Names names, std::string_view expected) const;
  /// Refuses a value that changes the result and that no code computes. Throws Error(unsupported).
  [[noreturn]] void refuse_unsupported(Names names, std::string_view expected) const;
  /// Refuses a key of this object, of any name, whose value is an object. Throws
  /// Error(unsupported).
  void refuse_objects(std::string_view expected) const;

  /// The keys that were read so far, with the values of the file, as the text of a JSON object.
  std::string known() const { return known_.dump(2) + "\n"; }
  std::string_view name() const { return name_; }

 private:
  /// A key that the object has. `value` is null if the object has none of the names.
  struct Found {
    const char* key = nullptr;
    const Json* value = nullptr;
  };
  Found find(Names names) const;
  /// Finds a key and records that it was read.
  Found read(Names names);
  std::string message(Names names, std::string_view expected) const;

  const Json* object_;
  std::string name_;
  std::string path_;
  Json known_ = Json::object();
};

/// The width of a time step before its projection. The value "auto", which is the default, means
/// hidden_size / 16, rounded up.
std::int64_t read_rank(ConfigReader& config, ConfigReader::Names names, std::int64_t hidden_size);

/// Heads of attention. A value null of num_key_value_heads means that every head has keys and values
/// of its own. `head_dim` is the default of the key; empty: hidden_size / heads.
AttentionSpec read_heads(ConfigReader& config, std::int64_t hidden_size, std::int64_t n_kv_heads,
                         std::optional<std::int64_t> head_dim = std::nullopt);

/// Refuses an activation other than SiLU. Throws Error(unsupported).
void refuse_other_activation(ConfigReader& config);

/// The ids in a number or in a list of numbers. Numbers that are no id, such as -1, are left out.
/// std::nullopt for other values.
std::optional<std::vector<std::int32_t>> ids_of(const Json& value);

/// The quantization method and the bits in a block of a config.json, such as "gptq, 4 bits". Empty
/// if the block has neither.
std::string quantization_method(const Json& block);

/// What a config.json says about quantization, such as "gptq, 4 bits". Empty if it says nothing.
std::string quantization_of(const Json& config);

}  // namespace bitaxon
