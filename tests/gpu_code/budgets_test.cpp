// Tests of the table of budgets and of the cost model.
#include "gpu_code/budgets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "gpu_code/cost_model.h"
#include "gpu_code/null_gpu.h"
#include "params/attention.h"
#include "support/errors.h"
#include "support/source_tree.h"

namespace bitaxon::gpu_code {
namespace {

using test::expect_error;

constexpr const char* kTable = R"(# a comment
driver Mesa 22.3
figure  kernel      format  rows  one  two
spilled *           *       *     0    0
waves   *           *       *     8    4
waves   attention_* *       *     -    3   # the last line counts
loop    product_vec q4_g64  1     5    5.5
)";

ReportRow row_of(const std::string& kernel, const std::string& format, Figures figures) {
  ReportRow row;
  row.facts.kernel = kernel;
  row.facts.format = format;
  row.figures = std::move(figures);
  return row;
}

FamilyCode family_of(const std::string& name) {
  FamilyCode family;
  family.family = name;
  family.driver = "Mesa 22.3.6";
  return family;
}

TEST(Budgets, TheLastLineThatMatchesCounts) {
  const Budgets budgets = parse_budgets(kTable, "table");
  EXPECT_EQ(budgets.driver, "Mesa 22.3");
  KernelFacts facts;
  facts.kernel = "attention_split";
  EXPECT_EQ(budgets.bound("waves", facts, "one"), std::nullopt);
  EXPECT_EQ(budgets.bound("waves", facts, "two"), 3);
  facts.kernel = "attn_in_vec";
  EXPECT_EQ(budgets.bound("waves", facts, "one"), 8);
  EXPECT_EQ(budgets.bound("loop", facts, "one"), std::nullopt);
  facts.kernel = "product_vec";
  facts.format = "q4_g64";
  EXPECT_EQ(budgets.bound("loop", facts, "two"), 5.5);
  EXPECT_TRUE(budgets.has_counts(facts));
  facts.rows = 2;
  EXPECT_EQ(budgets.bound("loop", facts, "two"), std::nullopt);
  EXPECT_FALSE(budgets.has_counts(facts));
}

TEST(Budgets, ALineNamesKernelDeviceFigureAndBound) {
  const Budgets budgets = parse_budgets(kTable, "table");
  std::vector<ReportRow> rows = {
      row_of("product_vec", "q4_g64", {{"spilled", 0}, {"waves", 8}, {"loop", 5}}),
      row_of("attention_split", "-", {{"spilled", 0}, {"waves", 1}})};
  EXPECT_EQ(exceeded(budgets, family_of("one"), rows), std::vector<std::string>{});
  rows[0].figures = {{"spilled", 3}, {"waves", 7}, {"loop", 5.125}};
  EXPECT_EQ(exceeded(budgets, family_of("one"), rows),
            (std::vector<std::string>{
                "product_vec q4_g64, 1 row, one: loop is 5.125, expected at most 5",
                "product_vec q4_g64, 1 row, one: spilled is 3, expected at most 0",
                "product_vec q4_g64, 1 row, one: waves is 7, expected at least 8"}));
}

TEST(Budgets, ABoundWithoutAPipelineIsReported) {
  const Budgets budgets = parse_budgets(kTable, "table");
  const std::vector<ReportRow> rows = {row_of("add", "-", {{"spilled", 0}, {"waves", 8}})};
  EXPECT_EQ(exceeded(budgets, family_of("one"), rows), std::vector<std::string>{});
  EXPECT_EQ(unmet(budgets, family_of("one"), rows),
            (std::vector<std::string>{
                "table:7: loop of product_vec q4_g64: expected a pipeline on one, found none"}));
}

TEST(Budgets, RefuseAnotherDriverAndAnotherFamily) {
  const Budgets budgets = parse_budgets(kTable, "table");
  FamilyCode other = family_of("one");
  other.driver = "Mesa 25.0.7";
  expect_error([&] { exceeded(budgets, other, {}); }, ErrorKind::unsupported,
               {"table", "expected the driver Mesa 22.3", "Mesa 25.0.7"});
  expect_error([&] { exceeded(budgets, family_of("three"), {}); }, ErrorKind::invalid_argument,
               {"expected one of the families one, two", "three"});
  // Both are known before anything is compiled.
  need_bounds_for(budgets, "one", "Mesa 22.3.6");
  expect_error([&] { need_bounds_for(budgets, "one", "Mesa 25.0.7"); }, ErrorKind::unsupported,
               {"expected the driver Mesa 22.3", "Mesa 25.0.7"});
  expect_error([&] { need_bounds_for(budgets, "three", "Mesa 22.3.6"); },
               ErrorKind::invalid_argument, {"expected one of the families one, two"});
}

TEST(Budgets, AMistakeIsNamedWithItsLine) {
  const std::string head = "figure kernel format rows one\n";
  expect_error([&] { parse_budgets(head + "waves * * *\n", "t"); }, ErrorKind::format,
               {"t:2:", "expected figure, kernel, format, rows and 1 bounds"});
  expect_error([&] { parse_budgets(head + "speed * * * 1\n", "t"); }, ErrorKind::format,
               {"t:2:", "figure: expected one of", "speed"});
  expect_error([&] { parse_budgets(head + "waves * * * many\n", "t"); }, ErrorKind::format,
               {"t:2:", "one: expected a number or -", "many"});
  expect_error([&] { parse_budgets("waves * * * 1\n", "t"); }, ErrorKind::format,
               {"t:1:", "before the first bounds"});
  expect_error([&] { parse_budgets("", "t"); }, ErrorKind::format, {"expected bounds"});
}

TEST(Budgets, ArePrintedWithTheFiguresThatTheTableLists) {
  FamilyCode family = family_of("one");
  for (const char* format : {"q4_g64", "q4_g64_any"})
    for (const std::uint32_t n_rows : {1U, 2U}) {
      NeededPipeline& needed = family.pipelines.emplace_back();
      needed.facts = {.kind = KernelKind::vec,
                      .kernel = "product_vec",
                      .format = format,
                      .rows = n_rows,
                      .outs = 1,
                      .bits = 4,
                      .group = 64};
      PipelineCode& code = family.codes.emplace_back();
      code.subgroup_size = 64;
      code.waves = 8;
      Loop loop;
      loop.last = 1;
      loop.own = {.vector = 64,
                  .products = 32 * n_rows,
                  .buffer_bytes = 128 * n_rows,
                  .address_bytes = 16,
                  .wide_bytes = 16};
      loop.whole = loop.own;
      code.code.loops = {loop};
    }
  const std::string text = as_budgets({family});
  EXPECT_EQ(std::ranges::count(text, '\n'), 3) << text;  // the head, all_in and loop
  const Budgets budgets = parse_budgets(text, "printed");
  EXPECT_EQ(budgets.bound("loop", family.pipelines[0].facts, "one"), 2);
  EXPECT_EQ(budgets.bound("all_in", family.pipelines[0].facts, "one"), 3.2);  // 2 turns, 40 weights
}

TEST(Budgets, OfTheRepositoryAreForTheCheckedFamilies) {
  const Budgets budgets = read_budgets(test::source_tree() / "tests/gpu_code/budgets.txt");
  EXPECT_EQ(budgets.families, checked_families());
  EXPECT_FALSE(budgets.driver.empty());
  KernelFacts any;
  any.kernel = "add";
  for (const std::string& family : budgets.families) {
    EXPECT_EQ(budgets.bound("spilled", any, family), 0);
    EXPECT_EQ(budgets.bound("scratch", any, family), 0);
  }
}

constexpr const char* kDevice = R"({"name": "A", "vendor": "V", "code": "navi21", "subgroup": 64,
  "units": 10, "lanes_per_clock": 64, "local_per_clock": 32, "clock_ghz": 1, "bandwidth_gb_s": 100,
  "matrix_tflops": 0, "launch_us": 5, "issue_share": 0.5, "bandwidth_share": 0.8,
  "measured": [{"step": "decode", "ms": 2.5, "source": "a page"}],
  "sources": {"units": "", "lanes_per_clock": "", "local_per_clock": "", "clock_ghz": "",
  "bandwidth_gb_s": "", "matrix_tflops": "", "launch_us": "", "issue_share": "",
  "bandwidth_share": "", "subgroup": ""}})";

TEST(DeviceDescription, AMistakeIsNamed) {
  const auto with = [](const std::string& from, const std::string& to) {
    std::string text = kDevice;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  EXPECT_EQ(parse_device(kDevice, "d").measured.size(), 1u);
  expect_error([&] { parse_device(with("\"units\": 10", "\"units\": \"ten\""), "d"); },
               ErrorKind::format, {"d: units: expected a number of at least 1", "ten"});
  expect_error([&] { parse_device(with("\"clock_ghz\": 1,", ""), "d"); }, ErrorKind::format,
               {"d: clock_ghz: expected a value, it is missing"});
  expect_error([&] { parse_device(with("\"units\": \"\"", "\"other\": \"\""), "d"); },
               ErrorKind::format, {"d: sources: expected the source of units"});
  expect_error([&] { parse_device(with("\"subgroup\": 64", "\"subgroup\": 7"), "d"); },
               ErrorKind::format, {"d: subgroup: expected a power of two from 4 to 128, got 7"});
  expect_error([&] { parse_device(with("\"issue_share\": 0.5", "\"issue_share\": 5"), "d"); },
               ErrorKind::format, {"d: issue_share: expected a number from 0.01 to 1, got 5"});
  expect_error([&] { parse_device(with("\"units\": 10", "\"units\": 10, \"unit\": 1"), "d"); },
               ErrorKind::format, {"d: unit: unknown field, expected one of name, vendor"});
  expect_error([&] { parse_device(with("\"decode\"", "\"training\""), "d"); }, ErrorKind::format,
               {"d: step: expected \"decode\" or \"prefill\"", "training"});
  const std::string list = R"([{"step": "decode", "ms": 2.5, "source": "a page"}])";
  expect_error([&] { parse_device(with(list, "2.5"), "d"); }, ErrorKind::format,
               {"d: measured: expected a list, got 2.5"});
}

TEST(DeviceDescription, TheRepositoryDescribesCardsOfThreeVendors) {
  std::set<std::string> vendors;
  int n_devices = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(test::source_tree() / "bench/devices")) {
    const DeviceDescription device = read_device(entry.path());
    vendors.insert(device.vendor);
    ++n_devices;
    EXPECT_TRUE(std::ranges::count(checked_families(), device.code) == 1) << entry.path();
  }
  EXPECT_GE(n_devices, 8);
  EXPECT_EQ(vendors.size(), 3u);
}

/// A launch of product_tile whose node has this cost.
StepLaunch tile_launch(const Cost& cost) {
  StepLaunch launch;
  launch.listed.launch.shader = vulkan::Shader::product_tile;
  launch.listed.launch.specialization = {{4, 64}};
  launch.listed.label = "layer_0 linear";
  launch.cost = cost;
  return launch;
}

PipelineCode tile_code() {
  PipelineCode code;
  code.subgroup_size = 64;
  Loop loop;
  loop.own = loop.whole = {.all = 2048, .vector = 2048, .address_bytes = 8};
  code.code.loops = {loop};
  return code;
}

TEST(CostModel, TheSlowestRateAndTheLaunchMakeTheTime) {
  DeviceDescription device = parse_device(kDevice, "d");
  // 1e6 products at half a product per instruction, on 10 units of 64 lanes at 1 GHz and a share of
  // one half: 6.25 us. 8e5 bytes at 80 GB/s: 10 us.
  const Prediction memory = predict(
      device, "prefill", 64, {tile_launch({.bytes = 800'000, .flops = 2'000'000})}, {tile_code()});
  ASSERT_EQ(memory.kernels.size(), 1u);
  EXPECT_EQ(memory.kernels[0].label, "linear: product_tile f32_any");
  EXPECT_NEAR(memory.kernels[0].vector_us, 6.25, 1e-9);
  EXPECT_NEAR(memory.kernels[0].memory_us, 10, 1e-9);
  EXPECT_NEAR(memory.us(), 15, 1e-9);
  EXPECT_EQ(memory.kernels[0].binds, "memory");
  // With matrix units of 1 TFLOPS at a share of one half, 2e7 operations take 40 us.
  device.matrix_tflops = 1;
  const Prediction matrix = predict(
      device, "prefill", 64, {tile_launch({.bytes = 8, .flops = 20'000'000})}, {tile_code()});
  EXPECT_NEAR(matrix.us(), 45, 1e-4);
  EXPECT_EQ(matrix.kernels[0].binds, "matrix");
}

TEST(CostModel, AttentionTakesTheInstructionsOfTheLoopThatReadsKeys) {
  StepLaunch launch;
  launch.listed.launch.shader = vulkan::Shader::attention_split;
  launch.listed.launch.specialization = {{BX_ATTENTION_ALIGNED, 1},
                                         {BX_ATTENTION_LANES, 4},
                                         {BX_ATTENTION_UNITS, 4},
                                         {BX_ATTENTION_SHARED, 1}};
  launch.listed.label = "layer_0 attention";
  launch.cost = {.bytes = 8, .flops = 2'000'000};
  PipelineCode code;
  code.subgroup_size = 64;
  code.code.loops.resize(2);
  code.code.loops[0].own = {.vector = 64, .products = 54, .buffer_bytes = 64};
  code.code.loops[1].own = {.vector = 641, .products = 17, .local = 81};  // merges, once
  // 1e6 products at two instructions each, as in the test of tiles.
  const Prediction step = predict(parse_device(kDevice, "d"), "decode", 1, {launch}, {code});
  ASSERT_EQ(step.kernels.size(), 1u);
  EXPECT_EQ(step.kernels[0].label, "attention: attention_split d64");
  EXPECT_NEAR(step.kernels[0].vector_us, 6.25, 1e-9);
}

TEST(CostModel, MeasurementsStandBesideThePrediction) {
  const DeviceDescription device = parse_device(kDevice, "d");
  const std::vector<Prediction> predictions = {
      predict(device, "decode", 1, {tile_launch({.bytes = 800'000, .flops = 2})}, {tile_code()})};
  EXPECT_NE(prediction_text(device, predictions).find("measured: 2.50 ms"), std::string::npos);
  EXPECT_EQ(prediction_json(device, predictions).at("steps").at(0).at("measured").size(), 1u);
}

}  // namespace
}  // namespace bitaxon::gpu_code
