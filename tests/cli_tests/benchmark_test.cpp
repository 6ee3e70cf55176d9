// Tests of `bit-axon benchmark`: the records that it prints. No test depends on speed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "bitaxon/devices.h"
#include "platform/host_rates.h"
#include "program.h"
#include "support/json_schema.h"
#include "support/small_models.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

const Arguments kJson = {"--format", "json"};

/// The arguments of a very short benchmark, followed by `more`. A flag in `more` replaces the flag
/// of the same name.
Arguments quick(const Arguments& more = {}) {
  Arguments all = {"benchmark", "--quiet"};
  const auto add = [&](const Arguments& flags, const char* other = "") {
    const auto is_given = [&](const std::string& word) {
      return word == flags[0] || word == other;
    };
    if (std::none_of(more.begin(), more.end(), is_given)) all = all + flags;
  };
  add({"--config-small"}, "-m");
  add({"-w", "0"});
  add({"-i", "1"});
  add({"-s", "5"});
  add({"--decode-tokens", "3"}, "--train");
  return all + more;
}

Arguments on_cpu(const Arguments& more = {}) { return quick(Arguments{"--device", "cpu"} + more); }

Json benchmark_json(const Arguments& arguments) { return run_json(arguments + kJson); }

/// One line per record, such as "cpu decode 3 at 5": device, test, number of tokens, position.
std::vector<std::string> names_of(const Json& records) {
  std::vector<std::string> names;
  for (const Json& record : records)
    names.push_back(fmt::format("{} {} {} at {}", record["device"].get<std::string>(),
                                record["test"].get<std::string>(), record["tokens"].dump(),
                                record["position"].dump()));
  return names;
}

TEST(BenchmarkCli, EveryRecordNamesModelAndDevice) {
  const Json json = benchmark_json(on_cpu());
  const std::vector<std::string> names = {"cpu prefill 5 at 0", "cpu first_token 5 at 0",
                                          "cpu decode 3 at 5"};
  EXPECT_EQ(names_of(json["records"]), names);
  for (const Json& record : json["records"]) {
    EXPECT_EQ(record["version"], json["version"]);
    EXPECT_EQ(record["commit"], json["commit"]);
    EXPECT_EQ(record["precision"], "fast");
    EXPECT_EQ(record["quantization"], "q4_affine_g64");
    EXPECT_NE(record["model"].get<std::string>().find("small preset"), std::string::npos);
    EXPECT_GE(record["threads"].get<int>(), 1);
    EXPECT_GT(record["tokens_per_sec"].get<double>(), 0);
    EXPECT_GT(record["limit_share"].get<double>(), 0);
    EXPECT_GT(record["stored_bytes"].get<std::int64_t>(), 0);
    EXPECT_GT(record["active_bytes"].get<std::int64_t>(), 0);
    EXPECT_GE(record["peak_bytes"], record["active_bytes"]);
    EXPECT_GT(record["read_bytes_per_sec"].get<double>(), 0);
    EXPECT_GT(record["float32_flops_per_sec"].get<double>(), 0);
  }
  EXPECT_TRUE(json["devices"][0]["profiles"].empty());
}

TEST(LengthyBenchmarkCli, DevicesRunTheSameTestsInTurn) {
  const Json json = benchmark_json(on_cpu({"--device", "reference", "--threads", "1", "-i", "2"}));
  const std::vector<std::string> names = {"cpu prefill 5 at 0",     "reference prefill 5 at 0",
                                          "cpu first_token 5 at 0", "reference first_token 5 at 0",
                                          "cpu decode 3 at 5",      "reference decode 3 at 5"};
  EXPECT_EQ(names_of(json["records"]), names);
  EXPECT_EQ(json["devices"].size(), 2U);
  const Json& records = json["records"];
  EXPECT_EQ(records[0]["flops"], records[1]["flops"]);
  EXPECT_EQ(records[1]["precision"], "exact");
  // The rates of a device are measured after each round. Two measurements never give the same rate.
  for (const Json& device : json["devices"]) {
    EXPECT_LT(device["read_bytes_per_sec_min"], device["read_bytes_per_sec"]);
    EXPECT_LT(device["float32_flops_per_sec_min"], device["float32_flops_per_sec"]);
  }
}

TEST(BenchmarkCli, DecodesAtTheRequestedDepths) {
  const Json json = benchmark_json(on_cpu({"--depth", "0,9,100"}));
  const std::vector<std::string> names = {"cpu prefill 5 at 0", "cpu first_token 5 at 0",
                                          "cpu decode 3 at 5", "cpu decode 3 at 9",
                                          "cpu decode 3 at 100"};
  EXPECT_EQ(names_of(json["records"]), names);
  const Json& records = json["records"];
  EXPECT_EQ(records[2]["synthesized_state"], false);
  EXPECT_EQ(records[3]["synthesized_state"], true);
  // At a greater depth, a step reads more keys and values.
  EXPECT_GT(records[3]["stored_bytes"], records[2]["stored_bytes"]);
  EXPECT_GT(records[4]["stored_bytes"], records[3]["stored_bytes"]);
  EXPECT_EQ(names_of(benchmark_json(on_cpu({"--depth", "9"}))["records"]).back(),
            "cpu decode 3 at 9");
}

TEST(BenchmarkCli, ComputesABatchOfSequencesTogether) {
  // This model is so small that measuring the rates of the device takes longer than the benchmark
  // itself.
  const TemporaryFolder folder;
  write_model(folder.path(), random_stored(small_config(), 1));
  const Arguments go = on_cpu({"-m", folder.path().string()});
  const Json one = benchmark_json(go + Arguments{"--depth", "0,9"});
  const Json three = benchmark_json(go + Arguments{"--depth", "0,9", "--batch-size", "3"});
  ASSERT_EQ(names_of(three["records"]), names_of(one["records"]));
  for (std::size_t i = 0; i < one["records"].size(); ++i) {
    EXPECT_EQ(three["records"][i]["batch_size"], 3);
    EXPECT_EQ(three["records"][i]["flops"].get<std::int64_t>(),
              3 * one["records"][i]["flops"].get<std::int64_t>());
    // A step reads the weights once for all sequences.
    EXPECT_LT(three["records"][i]["stored_bytes"].get<std::int64_t>(),
              3 * one["records"][i]["stored_bytes"].get<std::int64_t>());
  }
  // With 32 sequences of 17 tokens, each test takes two steps, and the second step is only partly
  // filled.
  benchmark_json(on_cpu(
      {"-m", folder.path().string(), "-s", "17", "--batch-size", "32", "--decode-tokens", "1"}));
}

TEST(BenchmarkCli, ProfilesEveryOp) {
  const Json json = benchmark_json(on_cpu({"--profile"}));
  const Json& profiles = json["devices"][0]["profiles"];
  ASSERT_EQ(profiles.size(), 2U);
  EXPECT_EQ(profiles[0]["test"], "prefill");
  EXPECT_EQ(profiles[0]["rows"], 5);
  EXPECT_EQ(profiles[1]["test"], "decode");
  EXPECT_EQ(profiles[1]["position"], 5);
  for (const Json& profile : profiles) {
    std::set<std::string> ops;
    double share = 0;
    for (const Json& op : profile["ops"]) {
      ops.insert(op["op"].get<std::string>());
      share += op["share"].get<double>();
      EXPECT_GE(op["calls"].get<std::int64_t>(), 1);
      EXPECT_GT(op["bytes"].get<std::int64_t>(), 0);
    }
    EXPECT_NEAR(share, 1, 1e-6);
    EXPECT_EQ(ops.size(), profile["ops"].size());
    EXPECT_TRUE(ops.contains("linear") && ops.contains("selective_scan"));
    EXPECT_EQ(ops.contains("sample"), profile["test"] == "decode");
  }
}

TEST(BenchmarkCli, PrintsTheRequestedFormat) {
  const Arguments little = on_cpu({"-s", "1", "--decode-tokens", "1"});
  const auto printed = [&](const char* format) {
    return run_well(little + Arguments{"--format", format}).out;
  };
  EXPECT_EQ(printed("table").rfind("bit-axon ", 0), 0U);
  EXPECT_NE(printed("markdown").find("|---|---:|"), std::string::npos);
  EXPECT_EQ(printed("csv").rfind("version,commit,device,", 0), 0U);
}

TEST(BenchmarkCli, WritesAPage) {
  const TemporaryFolder folder;
  const std::string file = (folder / "report.html").string();
  const Finished finished = run_well(on_cpu({"-s", "1", "--decode-tokens", "1", "--report", file}));
  EXPECT_NE(finished.out.find("decode 1 at 1"), std::string::npos);
  const std::string page = read_file(file);
  EXPECT_EQ(page.rfind("<!DOCTYPE html>", 0), 0U);
  EXPECT_NE(page.find("Where the time goes"), std::string::npos);
  EXPECT_NE(page.find("moe_swiglu"), std::string::npos);
}

TEST(BenchmarkCli, MeasuresAModelAndItsQuantization) {
  const Arguments bundled = on_cpu({"-m", bundled_model_dir().string()});
  EXPECT_EQ(benchmark_json(bundled)["quantization"], "f16");
  const Json four = benchmark_json(bundled + Arguments{"--quantize", "nf4"});
  EXPECT_EQ(four["quantization"], "nf4_g64");
  EXPECT_EQ(benchmark_json(on_cpu({"--quantize", "nf4"}))["quantization"], "nf4_g64");
}

TEST(BenchmarkCli, TheEnvironmentNamesTheDevice) {
  Surroundings surroundings;
  surroundings.environment["BIT_AXON_DEVICE"] = "reference";
  const Json json = run_json(quick(kJson), "", surroundings);
  EXPECT_EQ(json["devices"][0]["device"], "reference");
  EXPECT_EQ(run_json(on_cpu(kJson), "", surroundings)["devices"][0]["device"], "cpu");
}

TEST(BenchmarkCli, WorksWithoutDecoding) {
  EXPECT_EQ(benchmark_json(on_cpu({"--decode-tokens", "0"}))["records"].size(), 2U);
}

TEST(BenchmarkCli, LeavesNoFileWhenInterrupted) {
  const TemporaryFolder folder;
  Program program(on_cpu({"-i", "10000", "--report", (folder / "report.html").string()}));
  ASSERT_TRUE(program.wait_until_it_catches(SIGINT));
  program.send_signal(SIGINT);
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 130) << finished.describe();
  EXPECT_EQ(finished.out, "");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(BenchmarkCli, MeasuresTraining) {
  const Json json = Json::parse(run_well(quick({"--train", "--lora-rank", "2"}) + kJson).out);
  expect_keeps_to_schema("train-benchmark", json);
  EXPECT_EQ(json.at("adapter"), "dora");
  EXPECT_EQ(json.at("tokens"), 5);
  EXPECT_GT(json.at("update_flops").get<std::int64_t>(), 0);
  EXPECT_TRUE(json.at("ops").empty());
  const std::string text = run_well(quick({"--train", "--no-dora"})).out;
  EXPECT_NE(text.find("LoRA rank 8, 5 tokens"), std::string::npos) << text;
  const Json profile = Json::parse(run_well(quick({"--train", "--profile"}) + kJson).out);
  expect_keeps_to_schema("train-benchmark", profile);
  std::set<std::string> ops;
  for (const Json& op : profile.at("ops")) ops.insert(op.at("op"));
  for (const char* op : {"linear_backward", "adapter_backward", "cross_entropy", "adamw"})
    EXPECT_TRUE(ops.contains(op)) << op;
  for (const Arguments& flag :
       {Arguments{"--report", "r.html"}, {"--batch-size", "2"}, {"--depth", "8"}}) {
    const Finished refused = run(quick(Arguments{"--train"} + flag));
    EXPECT_EQ(refused.status, 2) << refused.describe();
    EXPECT_NE(refused.err.find(flag[0] + " excludes --train"), std::string::npos) << refused.err;
  }
}

TEST(BenchmarkCli, RefusesBadFlags) {
  const TemporaryFolder folder;
  struct Bad {
    Arguments more;
    int status;
    std::string mentioned;
  };
  const std::vector<Bad> all = {
      {{"--seq-lengths", "0"}, 2, "--seq-lengths: expected a whole number from 1"},
      {{"--seq-lengths", "4,"}, 2, "--seq-lengths: expected a whole number from 1"},
      {{"--seq-lengths", "4,4"}, 2, "got 4 twice"},
      {{"--batch-size", "33"}, 2, "--batch-size: expected a whole number from 1 to 32, got \"33\""},
      {{"--iterations", "0"}, 2, "--iterations"},
      {{"--warmup", "-1"}, 2, "--warmup"},
      {{"--decode-tokens", "x"}, 2, "--decode-tokens"},
      {{"--depth", "-5"}, 2, "--depth"},
      {{"--format", "xml"}, 2, "--format: expected table, markdown, csv or json, got \"xml\""},
      {{"--device", "cpu"}, 2, "got cpu and cpu, which are both cpu"},
      {{"--device", "gpu"}, 2, "got \"gpu\""},
      {{"--quantize", "int8"}, 2, "--quantize: expected nf4 or mlx, got \"int8\""},
      {{"--report", folder.path().string()}, 2, "a directory"},
      {{"--report", (folder / "none/report.html").string()}, 1, "--report"},
      {{"--report", "/proc/report.html"}, 1, "--report /proc/report.html"},
      {{"--depth", "5000000"}, 2, "max_seq_len"},
      {{"--seq-lengths", "5000000"}, 2, "max_seq_len"},
  };
  for (const Bad& bad : all) {
    const Arguments go = Arguments{"benchmark", "--config-small", "--device", "cpu"} + bad.more;
    const Finished finished = run(go);
    EXPECT_EQ(finished.status, bad.status) << finished.describe();
    EXPECT_EQ(finished.out, "");
    EXPECT_EQ(finished.err_lines().size(), 1U) << finished.describe();
    EXPECT_NE(finished.err.find(bad.mentioned), std::string::npos) << bad.mentioned << "\n"
                                                                   << finished.describe();
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

#ifdef BITAXON_WITH_VULKAN
TEST(BenchmarkCli, RefusesTwoNamesOfOneDevice) {
  const auto refuses = [](const std::string& a, const std::string& b, const std::string& both) {
    const Finished finished = run({"benchmark", "--config-small", "--device", a, "--device", b});
    EXPECT_EQ(finished.status, 2) << finished.describe();
    EXPECT_NE(finished.err.find(fmt::format("{} and {}, which are both {}", a, b, both)),
              std::string::npos)
        << finished.describe();
  };
  for (const DeviceInfo& device : list_devices()) {
    if (device.chosen_by_auto) refuses("auto", device.selector, device.selector);
    if (device.usable && !device.uuid.empty())
      refuses(device.selector, "vulkan:" + device.uuid, device.selector);
  }
}
#endif

TEST(BenchmarkLimits, HostRatesArePositive) {
  // With three threads, the buffer does not divide evenly among the threads.
  for (const int n_threads : {1, 2, 3}) {
    EXPECT_GT(host_read_rate(n_threads), 1e6);
    EXPECT_GT(host_multiply_add_rate(n_threads), 1e6);
  }
}

TEST(JsonSchema, NamesEveryProblem) {
  const Json schema = Json::parse(R"({
    "type": "object", "required": ["a"], "additionalProperties": false,
    "properties": {"a": {"type": ["integer", "null"], "minimum": 1},
                   "b": {"type": "array", "minItems": 1, "items": {"enum": ["x", "y"]}}}})");
  const auto n_problems = [&](const char* text) {
    return schema_problems(schema, Json::parse(text)).size();
  };
  EXPECT_EQ(n_problems(R"({"a": 1})"), 0U);
  EXPECT_EQ(n_problems(R"({"a": null, "b": ["x", "y"]})"), 0U);
  EXPECT_EQ(n_problems(R"({"a": 0})"), 1U);
  EXPECT_EQ(n_problems(R"({"a": 1.5})"), 1U);
  EXPECT_EQ(n_problems(R"({"b": []})"), 2U);
  EXPECT_EQ(n_problems(R"({"a": 1, "b": ["z"], "c": 2})"), 2U);
  EXPECT_EQ(n_problems("[]"), 1U);
  EXPECT_EQ(schema_problems(Json::parse(R"({"pattern": "a"})"), "a").size(), 1U);
  const Json named = Json::parse(R"({"$defs": {"n": {"type": "integer"}},
                                     "additionalProperties": {"$ref": "#/$defs/n"}})");
  EXPECT_EQ(schema_problems(named, Json::parse(R"({"a": 1, "b": 2})")).size(), 0U);
  EXPECT_EQ(schema_problems(named, Json::parse(R"({"a": 1, "b": "2"})")).size(), 1U);
  EXPECT_EQ(schema_problems(schema, Json::parse(R"({"a": 1, "b": ["z"]})"))[0],
            R"($.b[0]: expected one of ["x","y"], got "z")");
}

}  // namespace
}  // namespace bitaxon::test
