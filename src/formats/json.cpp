#include "formats/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "bitaxon/error.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

/// An iterator over the text that records how far the lexer has read. nlohmann's events do not
/// report this position.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** reached_;
};

[[noreturn]] void fail(std::string_view name, std::size_t byte, std::string_view what) {
  throw Error(ErrorKind::format,
              fmt::format("{}: at byte {}: {}", printable_path(name), byte, what));
}

/// nlohmann's message without its number, its line and column, and the text that was read last. The
/// caller's message gives the byte instead of the line. The text can be as long as the input.
std::string reason(std::string_view what) {
  if (const std::size_t end = what.find("] "); what.starts_with('[') && end != what.npos)
    what.remove_prefix(end + 2);
  if (what.starts_with("parse error"))
    if (const std::size_t end = what.find(": "); end != what.npos) what.remove_prefix(end + 2);
  std::string text(what);
  if (const std::size_t begin = text.find("; last read: '"); begin != text.npos) {
    const std::size_t end = text.rfind("'; expected ");
    text.erase(begin, end == text.npos ? text.npos : end + 1 - begin);
  }
  return printable(text);
}

/// Receives nlohmann's events and builds the tree. nlohmann's own builder is not used for two
/// reasons. First, the limits must hold while parsing. Second, that builder searches the whole
/// object before it adds a key, which takes minutes for a vocabulary.
class TreeBuilder {
 public:
  TreeBuilder(std::string_view text, std::string_view name, const JsonLimits& limits)
      : text_(text), name_(name), limits_(limits), reached_(text.data()) {}

  Json build() {
    Json::sax_parse(CountingIterator(text_.data(), &reached_),
                    CountingIterator(text_.data() + text_.size(), &reached_), this);
    return std::move(root_);
  }

  bool null() { return place(nullptr); }
  bool boolean(bool value) { return place(value); }
  bool number_integer(Json::number_integer_t value) { return place(value); }
  bool number_unsigned(Json::number_unsigned_t value) { return place(value); }
  bool number_float(Json::number_float_t value, const std::string&) { return place(value); }
  bool string(std::string& value) { return place(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }  // text has no binary values

  bool start_object(std::size_t) { return open(Json::object()); }
  bool key(std::string& name) {
    // The ordered map is a vector. Adding to the vector avoids the map's linear search for the key.
    Object& object = open_.back().container->get_ref<Json::object_t&>();
    object.emplace_back(std::move(name), Json());
    slot_ = &object.back().second;
    open_.back().key_ends.push_back(bytes_read());
    return true;
  }
  bool end_object() {
    refuse_repeated_keys(open_.back());
    open_.pop_back();
    return true;
  }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_array() {
    open_.pop_back();
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const Json::exception& error) {
    fail(name_, position > 0 ? position - 1 : 0, "not JSON: " + reason(error.what()));
  }

 private:
  using Object = Json::object_t::Container;

  struct Open {
    Json* container = nullptr;
    std::vector<std::size_t> key_ends;  ///< objects only: the byte after each key
  };

  std::size_t bytes_read() const { return static_cast<std::size_t>(reached_ - text_.data()); }

  /// The place for the next value in the tree. The pointers on the stack stay valid, because a
  /// container grows only while none of its elements is open.
  Json* next_slot() {
    if (open_.empty()) return &root_;
    Json& parent = *open_.back().container;
    if (!parent.is_array()) return slot_;
    return &parent.get_ref<Json::array_t&>().emplace_back();
  }

  template <typename Value>
  bool place(Value&& value) {
    *next_slot() = std::forward<Value>(value);
    return true;
  }

  bool open(Json empty) {
    if (open_.size() >= static_cast<std::size_t>(std::max(limits_.max_depth, 0)))
      fail(name_, bytes_read() - 1,
           fmt::format("expected at most {} levels of nesting, got more", limits_.max_depth));
    Json* slot = next_slot();
    *slot = std::move(empty);
    open_.push_back({slot, {}});
    return true;
  }

  /// Refuses an object with repeated keys. Sorts the keys, because colliding keys could make a hash
  /// table slow.
  void refuse_repeated_keys(const Open& open) const {
    const Object& object = open.container->get_ref<const Json::object_t&>();
    std::vector<std::size_t> order(object.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const int sign = object[a].first.compare(object[b].first);
      return sign != 0 ? sign < 0 : a < b;
    });
    const auto repeated = std::adjacent_find(
        order.begin(), order.end(),
        [&](std::size_t a, std::size_t b) { return object[a].first == object[b].first; });
    if (repeated == order.end()) return;
    const std::size_t second = *std::next(repeated);
    fail(name_, open.key_ends[second] - 1,
         fmt::format("key \"{}\" appears twice in one object", printable(object[second].first)));
  }

  std::string_view text_;
  std::string_view name_;
  JsonLimits limits_;
  const char* reached_;
  Json root_;
  std::vector<Open> open_;
  Json* slot_ = nullptr;  ///< the value for the last key of the innermost object
};

}  // namespace

std::string printable_json(const Json& value, std::size_t max_bytes) {
  return printable(value.dump(-1, ' ', true, Json::error_handler_t::replace), max_bytes);
}

std::optional<std::int64_t> whole_number(const Json& value) {
  constexpr double kExact = 9007199254740992;  // 2^53
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    return std::nullopt;
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  if (std::abs(number) > kExact || std::floor(number) != number) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

std::string_view without_byte_order_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xef\xbb\xbf";
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  return text;
}

Json parse_json(std::string_view text, std::string_view name, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes)
    throw Error(ErrorKind::format,
                fmt::format("{}: expected at most {} bytes of JSON, got {}", printable_path(name),
                            limits.max_bytes, text.size()));
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
    fail(name, 0, "expected JSON in UTF-8, got UTF-16");
  // nlohmann takes a NUL as the end of the text and would ignore the rest.
  if (const std::size_t nul = text.find('\0'); nul != text.npos)
    fail(name, nul, "not JSON: a NUL byte");
  return TreeBuilder(text, name, limits).build();
}

}  // namespace bitaxon
