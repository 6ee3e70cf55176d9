// The reports of a benchmark in each format. The results in them are synthetic.
#include "benchmark/benchmark_report.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <sstream>

#include "benchmark/benchmark_json.h"
#include "benchmark/benchmark_page.h"
#include "benchmark/benchmark_text.h"
#include "benchmark/svg_plot.h"
#include "program.h"

namespace bitaxon::test {
namespace {

BenchRecord record(const BenchTest& test, const std::vector<double>& seconds) {
  BenchRecord record;
  record.test = test;
  record.seconds = spread_of(seconds);
  record.n_tokens = test.n_tokens;
  record.work = {.stored_bytes = 1000, .flops = 2000};
  record.limit = BenchLimit{.seconds = seconds.front() / 4};
  record.seconds_at = {seconds.front() / 4, seconds.front() / 8, 0, 0};
  return record;
}

BenchedDevice device(const std::string& selector, const std::vector<double>& seconds) {
  BenchedDevice device;
  device.selector = selector;
  device.backend = "cpu";
  device.name = "<i>|*_a name_*|</i>, \"quoted\"";
  device.n_threads = 2;
  device.format = "q4_affine_g64";
  device.weight_bytes = 3 << 20;
  device.state_bytes = 2 << 20;
  device.activation_bytes = 1 << 20;
  device.active_bytes = 4 << 20;
  device.peak_bytes = 5 << 20;
  device.rates.add({.read_bytes_per_s = 2e9, .f32_flops_per_s = 3e9, .dispatch_s = 5e-6});
  device.rates.add({.read_bytes_per_s = 1e9, .f32_flops_per_s = 4e9, .dispatch_s = 7e-6});
  for (const BenchTest& test :
       tests_of({.seq_lengths = {8, 64}, .depths = {0, 64}, .n_decode_tokens = 4}))
    device.records.push_back(record(test, seconds));
  device.records.front().temperature = device.records.back().temperature = 61;
  for (const BenchKind kind : {BenchKind::prefill, BenchKind::decode}) {
    BenchProfile profile;
    profile.kind = kind;
    profile.n_rows = kind == BenchKind::decode ? 1 : 64;
    profile.position = kind == BenchKind::decode ? 64 : 0;
    profile.ops = {ProfiledOp{"moe_swiglu", 3, 30, 300, 3000}, ProfiledOp{"linear", 1, 10, 100, 0}};
    device.profiles.push_back(profile);
  }
  return device;
}

Benchmark findings(const std::vector<double>& seconds = {0.5, 0.25, 1}) {
  Benchmark found;
  found.model = "a,b|<c>.safetensors";
  found.wish.n_iterations = static_cast<std::int64_t>(seconds.size());
  found.wish.profile = true;
  found.devices = {device("cpu", seconds), device("reference", seconds)};
  return found;
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Splits a CSV row into its cells (RFC 4180).
std::vector<std::string> cells_of(const std::string& line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (quoted && line.compare(i, 2, "\"\"") == 0)
      cells.back() += line[++i];
    else if (line[i] == '"')
      quoted = !quoted;
    else if (line[i] == ',' && !quoted)
      cells.emplace_back();
    else
      cells.back() += line[i];
  }
  return cells;
}

std::string cell_of(const Json& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

TEST(BenchmarkReport, TableAndMarkdownHaveTheSameContent) {
  for (const auto& text : {tool::table_text, tool::markdown_text}) {
    const std::string said = text(findings());
    for (const char* wanted :
         {"bit-axon ", "commit ", "safetensors", "q4_affine_g64", "exact", "prefill 8",
          "first_token 8", "decode 4 at 8", "the logits of its last row only",
          "time to the first token", "share", "reads 2.0 GB/s (1.0 GB/s to 2.0 GB/s)",
          "float32 4.0 GFLOP/s (3.0 GFLOP/s to 4.0 GFLOP/s)", "5.0 us (5.0 us to 7.0 us)",
          "weights 3.00 MiB, state 2.00 MiB, activations 1.00 MiB reserved; 4.00 MiB in use, peak "
          "5.00 MiB",
          "61 °C", "moe_swiglu", "150.0 %"})
      EXPECT_TRUE(holds(said, wanted)) << wanted << "\n" << said;
  }
}

TEST(BenchmarkReport, MarksSynthesizedStates) {
  Benchmark found = findings();
  const std::string all[] = {tool::table_text(found), tool::markdown_text(found),
                             tool::page_text(found)};
  for (const std::string& text : all) {
    // Each report has two tests that differ only in how the state was made: by feeding tokens, or
    // synthesized.
    EXPECT_TRUE(std::regex_search(text, std::regex("decode 4 at 64[ <]"))) << text;
    EXPECT_TRUE(holds(text, "decode 4 at 64, synthesized")) << text;
    EXPECT_TRUE(holds(text, tool::kMadeUpNote)) << text;
    EXPECT_TRUE(holds(text, "1 row at 64, synthesized")) << text;
    EXPECT_FALSE(holds(text, "64 rows at 0, synthesized")) << text;
  }
  EXPECT_TRUE(holds(all[2], "class=\"line apart\"")) << all[2];
  for (BenchedDevice& one : found.devices)
    std::erase_if(one.records, [](const BenchRecord& r) { return r.test.made_up_state; });
  found.wish.profile = false;
  EXPECT_FALSE(holds(tool::table_text(found), tool::kMadeUpNote));
  EXPECT_FALSE(holds(tool::page_text(found), "hollow"));
}

TEST(BenchmarkReport, ASingleRunHasNoSpreadAndNoRange) {
  Benchmark found = findings({0.5});
  for (BenchedDevice& one : found.devices) {
    one.rates = {};
    one.rates.add({.read_bytes_per_s = 2e9, .f32_flops_per_s = 3e9});
  }
  const std::string table = tool::table_text(found);
  EXPECT_TRUE(std::regex_search(table, std::regex("prefill 8 +cpu +16.0 +- +500.00 ms"))) << table;
  EXPECT_TRUE(holds(table, "reads 2.0 GB/s; ")) << table;
  EXPECT_TRUE(tool::report_json(found)["records"][0]["spread"].is_null());
  EXPECT_EQ(tool::report_json(findings())["records"][0]["spread"], 1.5);
}

TEST(BenchmarkReport, MarksMissingMeasurements) {
  Benchmark found = findings();
  BenchedDevice& one = found.devices.front();
  one.rates = {};
  one.rates.add({.f32_flops_per_s = 3e9});
  for (BenchRecord& record : one.records) {
    record.limit.reset();
    record.seconds_at[static_cast<std::size_t>(BenchRate::read)] = 0;
  }
  for (const auto& text : {tool::table_text, tool::markdown_text}) {
    const std::string said = text(found);
    EXPECT_TRUE(holds(said, "reads not measured; multiplies and adds in float32 3.0 GFLOP/s"))
        << said;
    EXPECT_TRUE(std::regex_search(
        said, std::regex("prefill 8 [ |]*cpu.*not measured [ |]+- [ |]+-[ |]*\n")))
        << said;
  }
  const std::string page = tool::page_text(found);
  EXPECT_TRUE(holds(page, "<td>not measured</td><td>3.0 GFLOP/s</td>")) << page;
  EXPECT_TRUE(holds(page, "<td>-</td><td class=\"left\">not measured</td>")) << page;
  EXPECT_TRUE(holds(page, "tokens per second (4.00 to 16.00)</title>")) << page;
  for (const char* number : {"inf", "nan"}) EXPECT_FALSE(holds(page, number)) << page;
  const Json json = tool::report_json(found);
  expect_keeps_to_schema("benchmark", json);
  for (const Json& object : {json["devices"][0], json["records"][0]}) {
    EXPECT_TRUE(object["read_bytes_per_sec"].is_null());
    EXPECT_TRUE(object["read_bytes_per_sec_min"].is_null());
    EXPECT_EQ(object["float32_flops_per_sec"], 3e9);
  }
  for (const char* field : {"limit", "limit_tokens_per_sec", "limit_share", "read_share"})
    EXPECT_TRUE(json["records"][0][field].is_null()) << field;
  EXPECT_EQ(json["records"][1]["limit"], "read") << "the limit of the other device";
}

TEST(BenchmarkReport, NamesTheLimitOfAGpu) {
  Benchmark found = findings({0.5});
  BenchedDevice& gpu = found.devices.front();
  gpu.rates = {};
  gpu.rates.add({.read_bytes_per_s = 2e9,
                 .f32_flops_per_s = 3e9,
                 .dispatch_s = 5e-6,
                 .matrix_flops_per_s = 7e9});
  BenchRecord& prefill = gpu.records[0];
  prefill.limit = BenchLimit{.seconds = 0.25, .rate = BenchRate::matrix};
  prefill.seconds_at = {0.125, 0, 0.25, 0.05};
  BenchRecord& decode = gpu.records[2];
  decode.limit = BenchLimit{.seconds = 0.4, .rate = BenchRate::launches};
  decode.seconds_at = {0.1, 0.05, 0, 0.4};
  prefill.n_dispatches = decode.n_dispatches = 110;
  const std::string table = tool::table_text(found);
  EXPECT_TRUE(holds(table, "; matrix units 7.0 GFLOP/s; ")) << table;
  EXPECT_TRUE(std::regex_search(table, std::regex("prefill 8 +cpu .* matrix .* 50.0 %"))) << table;
  EXPECT_TRUE(std::regex_search(table, std::regex("decode 4 at 8 +cpu .* launches .* 80.0 %")))
      << table;
  const std::string page = tool::page_text(found);
  EXPECT_TRUE(holds(page, "<td>7.0 GFLOP/s</td><td>5.0 us</td>")) << page;
  EXPECT_TRUE(holds(page, ">matrix units</td>") && holds(page, ">launches</td>")) << page;
  const Json json = tool::report_json(found);
  expect_keeps_to_schema("benchmark", json);
  EXPECT_EQ(json["devices"][0]["matrix_flops_per_sec"], 7e9);
  const Json& first = json["records"][0];
  EXPECT_EQ(first["limit"], "matrix");
  EXPECT_EQ(first["matrix_share"], 0.5);
  EXPECT_EQ(first["read_share"], 0.25);
  EXPECT_TRUE(first["float32_share"].is_null());
  EXPECT_EQ(first["step_dispatches"], 110);
  EXPECT_TRUE(json["records"][1]["step_dispatches"].is_null()) << "the other device is no GPU";
}

TEST(BenchmarkReport, JsonFollowsItsSchema) {
  const Json json = tool::report_json(findings());
  expect_keeps_to_schema("benchmark", json);
  for (const Json& one : {json["devices"][0], json["records"][0]}) {
    EXPECT_EQ(one["read_bytes_per_sec"], 2e9);
    EXPECT_EQ(one["read_bytes_per_sec_min"], 1e9);
    EXPECT_EQ(one["float32_flops_per_sec"], 4e9);
    EXPECT_EQ(one["float32_flops_per_sec_min"], 3e9);
    EXPECT_LE(one["active_bytes"], one["peak_bytes"]);
  }
  EXPECT_EQ(json["devices"][0]["dispatch_us"], 5);
  EXPECT_EQ(json["records"][0]["temperature_celsius"], 61);
  EXPECT_EQ(json["devices"][0]["profiles"][1]["synthesized_state"], true);
}

TEST(BenchmarkReport, CsvHasRecordsAndOpsInOneTable) {
  const Benchmark found = findings();
  const Json json = tool::report_json(found);
  std::vector<std::vector<std::string>> rows;
  std::istringstream stream(tool::csv_text(found));
  for (std::string line; std::getline(stream, line);) rows.push_back(cells_of(line));
  const std::vector<std::string>& header = rows.front();
  const auto cell = [&](std::size_t row, const std::string& name) {
    const auto at = std::ranges::find(header, name);
    return at == header.end() ? "no such column"
                              : rows[row][static_cast<std::size_t>(at - header.begin())];
  };
  const std::size_t n_records = json["records"].size();
  ASSERT_EQ(rows.size(), 1 + n_records + 8);  // two devices, two profiles, two ops
  for (const auto& row : rows) EXPECT_EQ(row.size(), header.size());
  for (const auto& [key, value] : json["records"][0].items())
    EXPECT_EQ(cell(1, key), cell_of(value)) << key;
  for (const char* empty : {"op", "calls", "time_us", "share", "bytes", "bytes_per_sec"})
    EXPECT_EQ(cell(n_records, empty), "") << empty;
  const std::size_t op = 1 + n_records + 2;  // the first op of the first device's decode profile
  EXPECT_EQ(cell(op, "device"), "cpu");
  EXPECT_EQ(cell(op, "test"), "decode");
  EXPECT_EQ(cell(op, "position"), "64");
  EXPECT_EQ(cell(op, "synthesized_state"), "true");
  EXPECT_EQ(cell(op, "op"), "moe_swiglu");
  EXPECT_EQ(cell(op, "calls"), "3");
  EXPECT_EQ(cell(op, "share"), "0.75");
  EXPECT_EQ(cell(op, "flops"), "3000");
  EXPECT_EQ(cell(op, "tokens_per_sec"), "");
  // The columns do not depend on whether there is a profile.
  Benchmark bare = found;
  for (BenchedDevice& one : bare.devices) one.profiles.clear();
  EXPECT_EQ(tool::csv_text(bare).substr(0, tool::csv_text(bare).find('\n')),
            tool::csv_text(found).substr(0, tool::csv_text(found).find('\n')));
}

TEST(BenchmarkReport, MarkdownEscapesNames) {
  const std::string text = tool::markdown_text(findings());
  EXPECT_TRUE(holds(text, R"(\<i\>\|\*\_a name\_\*\|\</i\>)")) << text;
  EXPECT_TRUE(holds(text, R"(a,b\|\<c\>.safetensors)")) << text;
  EXPECT_TRUE(holds(text, "|---|---:|")) << text;
  EXPECT_TRUE(holds(text, "| first_token 8 |")) << text;
}

TEST(BenchmarkReport, ThePageIsSelfContained) {
  const std::string page = tool::page_text(findings());
  EXPECT_EQ(page.rfind("<!DOCTYPE html>", 0), 0U);
  for (const char* wanted :
       {"Prefill.", "Decoding.", "Time to the first token.", "class=\"limit\"", "class=\"bar\"",
        "Where the time goes", "moe_swiglu", "reference", "61 °C", "&lt;i&gt;",
        "2.0 GB/s<span class=\"dim\">1.0 GB/s to 2.0 GB/s</span>",
        "cpu at 64, synthesized: 8.00 tokens per second (4.00 to 16.00), limit 32.00"})
    EXPECT_TRUE(holds(page, wanted)) << wanted << "\n" << page;
  for (const char* never : {"http:", "https:", "src=", "href=", "url(", "nan", "inf\"", "<i>|"})
    EXPECT_FALSE(holds(page, never)) << never;
  // Every opened tag is closed.
  const auto count = [&](const std::string& pattern) {
    const std::regex regex(pattern);
    return std::distance(std::sregex_iterator(page.begin(), page.end(), regex),
                         std::sregex_iterator());
  };
  for (const char* tag : {"svg", "g", "table", "tr", "td", "th", "div", "span", "p", "text"})
    EXPECT_EQ(count(fmt::format("<{}[ >]", tag)), count(fmt::format("</{}>", tag))) << tag;
}

TEST(BenchmarkPlots, HandleNoPointsAndOnePoint) {
  EXPECT_EQ(tool::line_plot({}, "x", "y"), "");
  EXPECT_EQ(tool::line_plot({{"a", {}}}, "x", "y"), "");
  const std::string plot = tool::line_plot({{"<a>", {{8, 2, 1, 3, 10}}}}, "x", "y");
  EXPECT_TRUE(holds(plot, "&lt;a&gt;"));
  EXPECT_FALSE(holds(plot, "nan"));
  EXPECT_TRUE(holds(plot, "class=\"limit\""));
}

TEST(BenchmarkPlots, TheLastPointHasALabel) {
  std::vector<tool::PlotPoint> points;
  for (const double x : {100, 2000, 2040, 2048}) points.push_back({x, 1, 1, 1, 2});
  const std::string plot = tool::line_plot({{"a", points}}, "x", "y");
  EXPECT_TRUE(holds(plot, ">100</text>"));
  EXPECT_TRUE(holds(plot, ">2048</text>"));
  EXPECT_FALSE(holds(plot, ">2000</text>"));
  EXPECT_FALSE(holds(plot, ">2040</text>"));
}

TEST(BenchmarkPlots, LabelsArePlainNumbers) {
  for (const auto& [value, text] : std::vector<std::pair<double, std::string>>{
           {38840, "38840"}, {123.44, "123.4"}, {1.5, "1.50"}, {0.0421, "0.0421"}, {0, "0.0000"}})
    EXPECT_EQ(tool::plain_number(value), text);
}

}  // namespace
}  // namespace bitaxon::test
