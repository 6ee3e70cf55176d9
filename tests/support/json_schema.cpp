#include "support/json_schema.h"

#include <fmt/format.h>

#include <algorithm>

#include "platform/file.h"
#include "support/source_tree.h"

namespace bitaxon::test {
namespace {

bool is_of_type(const Json& value, const std::string& type) {
  if (type == "null") return value.is_null();
  if (type == "boolean") return value.is_boolean();
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "array") return value.is_array();
  return type == "object" && value.is_object();
}

class Check {
 public:
  Check(const Json& root, const Json& value, std::string_view place,
        std::vector<std::string>& problems)
      : root_(root), value_(value), place_(place), problems_(problems) {}

  void all_of(const Json& schema) {
    for (const auto& [keyword, rule] : schema.items()) apply(keyword, rule, schema);
  }

 private:
  void apply(const std::string& keyword, const Json& rule, const Json& schema);
  void expect(bool holds, const std::string& expected) {
    if (!holds)
      problems_.push_back(fmt::format("{}: expected {}, got {}", place_, expected, value_.dump()));
  }
  void check_member(const std::string& key, const Json& schema) {
    Check(root_, value_[key], fmt::format("{}.{}", place_, key), problems_).all_of(schema);
  }
  void check_type(const Json& rule) {
    const bool several = rule.is_array();
    const bool holds = several ? std::any_of(rule.begin(), rule.end(),
                                             [&](const Json& type) {
                                               return is_of_type(value_, type.get<std::string>());
                                             })
                               : is_of_type(value_, rule.get<std::string>());
    expect(holds, rule.dump());
  }
  void check_items(const Json& rule) {
    if (!value_.is_array()) return;
    for (std::size_t i = 0; i < value_.size(); ++i)
      Check(root_, value_[i], fmt::format("{}[{}]", place_, i), problems_).all_of(rule);
  }

  const Json& root_;  ///< the whole schema, which references point into
  const Json& value_;
  std::string place_;
  std::vector<std::string>& problems_;
};

void Check::apply(const std::string& keyword, const Json& rule, const Json& schema) {
  const bool is_object = value_.is_object();
  if (keyword == "$schema" || keyword == "$defs" || keyword == "title" || keyword == "description")
    return;
  if (keyword == "$ref")
    return all_of(root_.at(Json::json_pointer(rule.get<std::string>().substr(1))));
  if (keyword == "type") return check_type(rule);
  if (keyword == "enum")
    return expect(std::find(rule.begin(), rule.end(), value_) != rule.end(),
                  "one of " + rule.dump());
  if (keyword == "minimum")
    return expect(!value_.is_number() || value_.get<double>() >= rule.get<double>(),
                  "at least " + rule.dump());
  if (keyword == "minItems")
    return expect(!value_.is_array() || value_.size() >= rule.get<std::size_t>(),
                  "at least " + rule.dump() + " items");
  if (keyword == "items") return check_items(rule);
  if (keyword == "required") {
    for (const Json& key : rule)
      expect(!is_object || value_.contains(key.get<std::string>()), "the key " + key.dump());
    return;
  }
  if (keyword == "properties") {
    for (const auto& [key, member] : rule.items())
      if (is_object && value_.contains(key)) check_member(key, member);
    return;
  }
  if (keyword == "additionalProperties") {
    if (!is_object) return;
    for (const auto& [key, member] : value_.items()) {
      if (schema.contains("properties") && schema["properties"].contains(key)) continue;
      if (rule.is_object()) check_member(key, rule);
      if (rule == false) expect(false, fmt::format("no key \"{}\"", key));
    }
    return;
  }
  problems_.push_back(
      fmt::format("{}: the schema has a keyword that is not checked: {}", place_, keyword));
}

}  // namespace

std::vector<std::string> schema_problems(const Json& schema, const Json& value) {
  std::vector<std::string> problems;
  Check(schema, value, "$", problems).all_of(schema);
  return problems;
}

Json read_schema(const std::string& name) {
  const std::string file = fmt::format("docs/schemas/{}.schema.json", name);
  return parse_json(read_whole_file(source_tree() / file, std::uint64_t{1} << 20), file);
}

}  // namespace bitaxon::test
