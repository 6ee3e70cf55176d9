// Tests of config.json: defaults, presets, and every possible error.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "formats/json.h"
#include "model/families/bit_axon.h"
#include "support/errors.h"

namespace bitaxon::test {
namespace {

BitAxonConfig parse(std::string_view json) {
  std::vector<std::string> warnings;
  BitAxonConfig config = BitAxonConfig::parse(json, "config.json", warnings);
  EXPECT_TRUE(warnings.empty()) << warnings[0];
  return config;
}

void expect_refused(std::string_view json, std::initializer_list<std::string_view> fragments) {
  SCOPED_TRACE(std::string(json.substr(0, 100)));
  std::vector<std::string> warnings;
  expect_error(
      [&] {
        try {
          BitAxonConfig::parse(json, "config.json", warnings);
        } catch (const Error& error) {
          EXPECT_TRUE(std::string_view(error.what()).starts_with("config.json: ")) << error.what();
          throw;
        }
      },
      ErrorKind::format, fragments);
}

/// A row of the table of the configurations default, small and medium in docs/model.md.
struct TableRow {
  const char* key;
  double values[3];
};
const TableRow kTable[] = {
    {"vocab_size", {32000, 1024, 32000}},
    {"hidden_dim", {2560, 256, 2048}},
    {"num_layers", {24, 4, 12}},
    {"num_heads", {32, 4, 16}},
    {"d_source_model", {2048, 128, 1536}},
    {"ssm_d_state", {16, 4, 12}},
    {"ssm_d_conv", {4, 2, 4}},
    {"ssm_expand", {3, 2, 3}},
    {"ssm_scan_step", {64, 64, 64}},
    {"swa_window_size", {4096, 64, 4096}},
    {"moe_num_experts", {8, 4, 6}},
    {"moe_top_k", {2, 2, 2}},
    {"moe_intermediate_dim", {4096, 512, 3072}},
    {"moe_shared_expert", {1, 1, 1}},
    {"weight_tying", {1, 1, 1}},
    {"max_seq_len", {65536, 65536, 65536}},
    {"rms_norm_eps", {1e-6, 1e-6, 1e-6}},
};

bool is_boolean(std::string_view key) {
  return key == "moe_shared_expert" || key == "weight_tying";
}
bool is_integer(std::string_view key) { return !is_boolean(key) && key != "rms_norm_eps"; }

TEST(BitAxonConfig, DefaultsAndPresetsMatchTheTable) {
  const BitAxonConfig configs[] = {BitAxonConfig(), BitAxonConfig::small(),
                                   BitAxonConfig::medium()};
  for (std::size_t i = 0; i < 3; ++i) {
    const Json json = parse_json(configs[i].to_json(), "to_json");
    EXPECT_EQ(json.size(), std::size(kTable));
    for (const TableRow& row : kTable) {
      ASSERT_TRUE(json.contains(row.key)) << row.key;
      const Json& value = json[row.key];
      EXPECT_EQ(value.is_boolean() ? (value.get<bool>() ? 1.0 : 0.0) : value.get<double>(),
                row.values[i])
          << row.key;
    }
    EXPECT_NO_THROW(configs[i].validate("preset"));
    EXPECT_EQ(parse(configs[i].to_json()), configs[i]);
  }
  EXPECT_EQ(parse("{}"), BitAxonConfig());
}

TEST(BitAxonConfig, EveryKeyIsReadIndependently) {
  for (const TableRow& row : kTable) {
    // Half of a default value is always valid if all other keys have their default values.
    const std::string value = is_boolean(row.key) ? "false"
                              : is_integer(row.key)
                                  ? fmt::format("{}", static_cast<int>(row.values[0]) / 2)
                                  : "0.25";
    const std::string json = fmt::format("{{\"{}\": {}}}", row.key, value);
    const BitAxonConfig config = parse(json);
    EXPECT_FALSE(config == BitAxonConfig()) << row.key;
    const Json written = parse_json(config.to_json(), "to_json");
    EXPECT_EQ(written[row.key], parse_json(value, "value")) << row.key;
    for (const TableRow& other : kTable) {
      if (other.key == row.key) continue;
      EXPECT_EQ(written[other.key], parse_json(BitAxonConfig().to_json(), "to_json")[other.key]);
    }
  }
}

TEST(BitAxonConfig, LayersAreSplitIntoThirds) {
  const std::map<std::int64_t, std::array<int, 3>> expected = {
      {1, {0, 0, 1}}, {2, {0, 0, 2}}, {3, {1, 1, 1}}, {4, {1, 1, 2}},
      {5, {1, 1, 3}}, {6, {2, 2, 2}}, {24, {8, 8, 8}}};
  for (const auto& [n, counts] : expected) {
    BitAxonConfig config;
    config.num_layers = n;
    std::array<int, 3> got{};
    std::size_t last = 0;
    for (const BlockSpec& block : config.spec().blocks) {
      const std::size_t kind = block.kind == "ssm" ? 0 : block.kind == "swa_moe" ? 1 : 2;
      EXPECT_GE(kind, last);
      last = kind;
      ++got[kind];
    }
    EXPECT_EQ(got, counts) << n;
  }
}

TEST(BitAxonConfig, UnknownKeysGiveWarnings) {
  std::vector<std::string> warnings;
  const BitAxonConfig config = BitAxonConfig::parse(
      "{\"vocab_size\": 7, \"turbo\": true, \"a\\nb\\u001b[31m\": {\"x\": [1]}}",
      "here/config.json", warnings);
  EXPECT_EQ(config.vocab_size, 7);
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_TRUE(warnings[0].starts_with("here/config.json: ")) << warnings[0];
  EXPECT_NE(warnings[0].find("turbo"), std::string::npos);
  EXPECT_EQ(warnings[1].find_first_of("\n\x1b"), std::string::npos) << warnings[1];
}

TEST(BitAxonConfig, KeysForTheTokenizerGiveNoWarning) {
  std::vector<std::string> warnings;
  BitAxonConfig::parse(R"({"eos_token_id": [1, 2], "eos_token": "</s>"})", "config.json", warnings);
  EXPECT_TRUE(warnings.empty()) << warnings[0];
}

TEST(BitAxonConfig, RefusesWrongTypesAndImpossibleNumbers) {
  struct Bad {
    const char* json;
    const char* shown;
  };
  const Bad for_integers[] = {
      {"\"4\"", "\"4\""},
      {"null", "null"},
      {"true", "true"},
      {"[4]", "[4]"},
      {"{}", "{}"},
      {"4.0", "4.0"},
      {"0.5", "0.5"},
      {"1e30", "1e+30"},
      {"0", "got 0"},
      {"-0", "0"},
      {"-1", "got -1"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"9223372036854775807", "9223372036854775807"},
      {"9223372036854775808", "9223372036854775808"},
      {"18446744073709551615", "18446744073709551615"},
      {"18446744073709551616", "e+19"},
  };
  const Bad for_booleans[] = {{"1", "got 1"},          {"0", "got 0"}, {"\"true\"", "\"true\""},
                              {"null", "null"},        {"[]", "[]"},   {"{}", "{}"},
                              {"1e400000", "1e400000"}};
  const Bad for_eps[] = {{"0", "0"},          {"-1e-6", "-1e-06"}, {"\"1e-6\"", "\"1e-6\""},
                         {"null", "null"},    {"true", "true"},    {"1e-60", "1e-60"},
                         {"1e300", "1e+300"}, {"[]", "[]"},        {"-0.0", "-0"}};
  for (const TableRow& row : kTable) {
    const auto refuse = [&](const Bad& bad) {
      if (std::string_view(bad.json) == "1e400000") {  // the number is too large for a double
        expect_refused(fmt::format("{{\"{}\": {}}}", row.key, bad.json), {"byte"});
        return;
      }
      expect_refused(fmt::format("{{\"{}\": {}}}", row.key, bad.json),
                     {fmt::format("{}: expected", row.key), bad.shown});
    };
    if (is_integer(row.key)) {
      for (const Bad& bad : for_integers) refuse(bad);
    } else if (is_boolean(row.key)) {
      for (const Bad& bad : for_booleans) refuse(bad);
    } else {
      for (const Bad& bad : for_eps) refuse(bad);
    }
  }
}

TEST(BitAxonConfig, RefusesValuesThatContradictEachOther) {
  struct Bad {
    const char* json;
    std::vector<std::string> fragments;
  };
  const Bad table[] = {
      {R"({"hidden_dim": 100, "num_heads": 3})", {"num_heads", "hidden_dim", "100", "got 3"}},
      {R"({"num_heads": 5121})", {"num_heads", "2560", "got 5121"}},
      {R"({"hidden_dim": 7})", {"num_heads", "7", "got 32"}},
      {R"({"moe_top_k": 9})", {"moe_top_k", "moe_num_experts", "8", "got 9"}},
      {R"({"moe_num_experts": 1})", {"moe_top_k", "1", "got 2"}},
      {R"({"vocab_size": 16777216, "d_source_model": 1048576})", {"vocab_size * d_source_model"}},
      {R"({"hidden_dim": 1048576, "num_heads": 1})", {"ssm_expand", "hidden_dim"}},
      {R"({"hidden_dim": 524288, "num_heads": 1, "ssm_expand": 64})", {"ssm_expand"}},
      {R"({"hidden_dim": 400000, "num_heads": 1, "moe_num_experts": 65536})",
       {"moe_num_experts * moe_intermediate_dim * hidden_dim"}},
      {R"({"moe_intermediate_dim": 1048576, "moe_num_experts": 65536})", {"moe_num_experts"}},
  };
  for (const Bad& bad : table)
    for (const std::string& fragment : bad.fragments) expect_refused(bad.json, {fragment});
}

TEST(BitAxonConfig, RefusesTextThatIsNotAConfiguration) {
  expect_refused("", {"byte 0"});
  expect_refused("   ", {"byte"});
  expect_refused("[]", {"expected a JSON object", "[]"});
  expect_refused("null", {"expected a JSON object", "null"});
  expect_refused("7", {"expected a JSON object", "7"});
  expect_refused("\"vocab_size\"", {"expected a JSON object"});
  expect_refused("{\"vocab_size\": 7, \"vocab_size\": 7}", {"vocab_size", "twice"});
  expect_refused("{\"rms_norm_eps\": NaN}", {"byte 17"});
  expect_refused("{\"rms_norm_eps\": Infinity}", {"byte 17"});
  expect_refused("{\"vocab_size\": 7,}", {"byte"});
  expect_refused("{\"vocab_size\": 7", {"byte"});
  expect_refused("{'vocab_size': 7}", {"byte 1"});
  expect_refused("{\"vocab_size\": 7} x", {"byte"});
  expect_refused("{\"vocab_size\": 07}", {"byte"});
  expect_refused("{\"vocab_size\": 0x7}", {"byte"});
  expect_refused("// comment\n{}", {"byte 0"});
  expect_refused(std::string_view("{}\0", 3), {"NUL"});
  expect_refused("{\"\xff\": 1}", {"byte"});
  expect_refused("\xff\xfe{\0}\0", {"byte 0"});
  expect_refused("version https://git-lfs.github.com/spec/v1\n", {"byte 0"});
  const std::string deep = std::string(40, '[') + std::string(40, ']');
  expect_refused("{\"x\": " + deep + "}", {"levels"});
  expect_refused(std::string(3 << 20, ' '), {"bytes"});
  EXPECT_EQ(parse("\xEF\xBB\xBF{\"vocab_size\": 7}").vocab_size, 7);
}

TEST(BitAxonConfig, MessagesStayShortAndOnOneLine) {
  const std::string junk = "\\n\\u001b[2J" + std::string(5000, 'x');
  expect_refused("{\"vocab_size\": \"" + junk + "\"}", {"vocab_size", "expected"});
  expect_refused("\"" + junk + "\"", {"expected a JSON object"});
}

}  // namespace
}  // namespace bitaxon::test
