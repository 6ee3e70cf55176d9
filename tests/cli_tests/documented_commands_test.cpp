// Runs the command lines of the original Bit-Axon documentation exactly as they are written there.
// The bundled model stands in for the model of the hub, and some numbers are smaller to save time.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "bitaxon/model.h"
#include "format_tests/stored_tensor.h"
#include "model_folder.h"
#include "program.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

/// Splits a line into words at blanks. Blanks inside double quotes do not split.
Arguments words_of(const std::string& line) {
  Arguments words;
  bool in_word = false, in_quotes = false;
  for (const char c : line) {
    if (c == '"') in_quotes = !in_quotes;
    if (c == ' ' && !in_quotes) {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    if (c != '"') words.back() += c;
  }
  return words;
}

/// Writes an adapter of rank 8 for one matrix of the bundled model.
void write_adapter(const fs::path& file) {
  const BitAxonConfig config = read_config(bundled_model_dir());
  const auto numbers = [](Shape shape) {
    NamedTensor tensor{shape, {}};
    for (std::int64_t i = 0; i < shape.elements(); ++i)
      tensor.values.push_back(0.01F * std::sin(static_cast<float>(i + 1)));
    return tensor;
  };
  fs::create_directories(file.parent_path());
  write_tensors(file, {{"layer_0.ssm.in_proj.lora_a", numbers({config.hidden_dim, 8})},
                       {"layer_0.ssm.in_proj.lora_b", numbers({8, 2 * config.d_inner()})}});
}

/// A working folder with ./model, ./base-model and the adapters that the command lines name. The
/// hub cache in it has the model skyoo2003/bit-axon and the tokenizer Qwen/Qwen2.5-3B.
class DocumentedCommands : public testing::Test {
 protected:
  DocumentedCommands() {
    for (const char* name : {"model", "base-model"}) copy_model(bundled_model_dir(), at(name));
    add_to_cache("skyoo2003--bit-axon", {"config.json", "model.safetensors", "tokenizer.json"});
    add_to_cache("Qwen--Qwen2.5-3B", {"tokenizer.json"});
    surroundings_.folder = folder_.path();
    surroundings_.environment = {{"HF_HOME", at("hf").string()}, {"BIT_AXON_DEVICE", "cpu"}};
  }

  fs::path at(const std::string& name) const { return folder_ / name; }
  void add_to_cache(const std::string& repository, const std::vector<std::string>& names) const {
    const fs::path root = at("hf/hub/models--" + repository);
    fs::create_directories(root / "snapshots/1");
    fs::create_directories(root / "refs");
    write_file(root / "refs/main", "1");
    for (const std::string& name : names)
      fs::copy_file(bundled_model_dir() / name, root / "snapshots/1" / name);
  }
  /// Runs a command line. `more` has further flags, which make the command quick.
  Finished run_line(const std::string& line, const Arguments& more = {},
                    const std::string& input = {}) const {
    SCOPED_TRACE("bit-axon " + line);
    return run_well(words_of(line) + more, input, surroundings_);
  }
  /// Runs a command line and expects that it writes a model into the folder `output`.
  void expect_makes(const std::string& line, const std::string& output) const {
    SCOPED_TRACE("bit-axon " + line);
    fs::remove_all(at(output));
    const Finished finished = run_line(line);
    EXPECT_TRUE(fs::exists(at(output) / "model.safetensors")) << finished.describe();
    EXPECT_TRUE(fs::exists(at(output) / "tokenizer.json")) << finished.describe();
    // The last line of the output must name the folder.
    const std::string last = finished.out.substr(finished.out.rfind('\n', finished.out.size() - 2));
    EXPECT_NE(last.find(output), std::string::npos) << finished.out;
  }
  std::string format_of(const std::string& model) const {
    return run_json({"inspect", model, "--json"}, "", surroundings_)["formats"].dump();
  }

  TemporaryFolder folder_;
  Surroundings surroundings_;
};

TEST_F(DocumentedCommands, EveryCommandHasHelp) {
  for (const char* command : {"run", "chat", "download", "upload", "quantize", "merge", "train",
                              "prepare", "pipeline", "port-weights", "evaluate", "benchmark"})
    EXPECT_NE(run_line(fmt::format("{} --help", command)).out.find("bit-axon "), std::string::npos)
        << command;
}

TEST_F(DocumentedCommands, RunWorksAsDocumented) {
  const Arguments few = {"--max-tokens", "4"};
  const Arguments seed = {"--seed", "1"};  // with some other seeds, the answer has no text
  EXPECT_GT(run_line("run \"Hello\" --top-k 50 --top-p 0.95 --seed 42 --no-stream", few).out.size(),
            1U);
  for (const char* line :
       {"run \"Hello, world!\"", "run \"Hello\" --config-small",
        "run --model ./model --prompt \"Hello, world!\"",
        "run --model skyoo2003/bit-axon --prompt \"Explain entropy in one sentence.\"",
        "run \"Hello\" -m ./model -t ./model/tokenizer.json",
        "run \"Hello\" --model skyoo2003/bit-axon --tokenizer Qwen/Qwen2.5-3B",
        "run \"Hello\" --model ./model --config-small"})
    EXPECT_GT(run_line(line, few + seed).out.size(), 1U) << line;
  EXPECT_GT(run_line("run \"Explain it.\" --max-tokens 5 --temperature 0.7", seed).out.size(), 1U);
  EXPECT_EQ(run_line("run --seed 1", few, "What is 2+2?\n").out,
            run_line("run --seed 1 \"What is 2+2?\"", few).out);
}

TEST_F(DocumentedCommands, ChatWorksAsDocumented) {
  const Arguments few = {"--max-tokens", "4", "--seed", "1"};
  const std::string questions = "Who is there?\nAnd now?\nexit\nnot asked\n";
  const std::string answers = run_line("run --chat", few, questions).out;
  EXPECT_GE(std::count(answers.begin(), answers.end(), '\n'), 2) << answers;
  for (const char* line : {"run -c", "chat", "chat --model skyoo2003/bit-axon", "chat -m ./model"})
    EXPECT_EQ(run_line(line, few, questions).out, answers) << line;
}

TEST_F(DocumentedCommands, QuantizeWorksAsDocumented) {
  expect_makes("quantize ./model", "model/q4");
  EXPECT_NE(format_of("model/q4").find("q4_affine_g64"), std::string::npos);
  expect_makes("quantize ./base-model --bits 4 --group-size 64", "base-model/q4");
  expect_makes("quantize ./model --output ./model-q4 --bits 4 --group-size 64", "model-q4");
  expect_makes("quantize skyoo2003/bit-axon -o models/bit-axon-q4 -b 4 -g 64",
               "models/bit-axon-q4");
  expect_makes("quantize skyoo2003/bit-axon", "bit-axon-q4");
  expect_makes("quantize ./model -o small --config-small", "small");
  for (const char* model : {"base-model/q4", "model-q4", "models/bit-axon-q4", "bit-axon-q4"})
    EXPECT_EQ(read_file(at(model) / "model.safetensors"),
              read_file(at("model/q4/model.safetensors")))
        << model;
}

TEST_F(DocumentedCommands, MergeWorksAsDocumented) {
  write_adapter(at("adapter.safetensors"));
  expect_makes("merge ./base-model --adapter ./adapter.safetensors --output ./merged", "merged");
  expect_makes("merge --base-model ./model --adapter ./adapter.safetensors", "model-merged");
  write_adapter(at("adapter/adapters.safetensors"));
  write_adapter(at("checkpoints/my-run/adapter.safetensors"));
  expect_makes("merge ./base-model --adapter ./adapter --output ./merged", "merged");
  expect_makes("merge --base-model ./model --adapter ./adapter", "model-merged");
  expect_makes("merge skyoo2003/bit-axon -a checkpoints/my-run/adapter -o models/merged",
               "models/merged");
  expect_makes("merge skyoo2003/bit-axon -a adapter.safetensors", "bit-axon-merged");
  expect_makes("merge ./model/ -a adapter.safetensors -o rank --lora-rank 8 --config-small",
               "rank");
  run_line("quantize ./model");
  expect_makes("merge ./model/q4 -a adapter.safetensors -b 4 -g 64 -r 8", "model/q4-merged");
  EXPECT_NE(format_of("model/q4-merged").find("q4_affine_g64"), std::string::npos);
  expect_makes("merge model/q4 -a adapter.safetensors -o again --bits 4 --group-size 64", "again");
  EXPECT_EQ(read_file(at("again/model.safetensors")),
            read_file(at("model/q4-merged/model.safetensors")));
  expect_makes("merge model/q4 -a adapter.safetensors -o floats --no-re-quantize", "floats");
  EXPECT_EQ(format_of("floats").find("q4_affine_g64"), std::string::npos);
}

TEST_F(DocumentedCommands, EvaluateWorksAsDocumented) {
  run_line("quantize skyoo2003/bit-axon -o models/bit-axon-q4 -b 4 -g 64");
  for (const char* line :
       {"evaluate models/bit-axon-q4 -t Qwen/Qwen2.5-3B --max-tokens 40",
        "evaluate skyoo2003/bit-axon --tokenizer ./model/tokenizer.json --max-tokens 40",
        "evaluate ./model --max-tokens 40 --seq-length 8 --batch-size 4",
        "evaluate ./model --max-tokens 40 --seq-length 2048 --config-small"})
    EXPECT_NE(run_line(line).out.find("\nperplexity "), std::string::npos) << line;
}

TEST_F(DocumentedCommands, BenchmarkWorksAsDocumented) {
  const Arguments bundled = {"-m", "./model", "--decode-tokens", "1"};
  for (const char* line : {"benchmark -s 2,4 -i 1 -w 0",
                           "benchmark --batch-size 4 -s \"2, 4\" --warmup 0 --iterations 1"})
    EXPECT_NE(run_line(line, bundled).out.find("prefill"), std::string::npos) << line;
  run_line("benchmark --config-small --seq-lengths 2,4",
           {"-i", "1", "-w", "0", "--decode-tokens", "1"});
}

TEST_F(DocumentedCommands, PipelineWorksAsDocumented) {
  const std::string line =
      "pipeline -o OUT --max-steps 2 --orpo-steps 1 --max-seq-len 32 --lora-rank 8 --batch-size 1";
  const Finished finished = run_line(line, {"--config-small", "--no-thermal"});
  for (const char* part : {"SFT loss ", "\nperplexity ", "\nORPO loss ", "OUT/final\n"})
    EXPECT_NE(finished.out.find(part), std::string::npos) << finished.describe();
  EXPECT_TRUE(fs::exists(at("OUT/final/model.safetensors")));
  for (const char* flags :
       {"pipeline --sft-data ultrachat --sft-split train --sft-limit 100 -t Qwen/Qwen2.5-3B",
        "pipeline --orpo-data hh-rlhf --orpo-split train --orpo-limit 100 --config-medium",
        "pipeline --output-dir OUT --tokenizer Qwen/Qwen2.5-3B -r OWNER/NAME",
        "pipeline --config-small --repo-id OWNER/NAME"})
    run_line(flags, {"--help"});
}

TEST_F(DocumentedCommands, PortWeightsWorksAsDocumented) {
  expect_makes("port-weights OUT --config-small", "OUT");
  for (const char* line : {"port-weights OUT", "port-weights OUT --config-medium"})
    run_line(line, {"--help"});
}

/// The tests in hub_tests check the effects of the flags with a fake hub.
TEST_F(DocumentedCommands, UploadKnowsEveryDocumentedFlag) {
  for (const char* line :
       {"upload ./model -r owner/name -t Qwen/Qwen2.5-3B",
        "upload ./model --repo-id owner/name --tokenizer ./model/tokenizer.json --private",
        "upload ./model -r owner/name -m \"A message\"",
        "upload ./model -r owner/name --commit-message \"A message\"",
        "upload ./model -r owner/name --benchmark-results mmlu=0.45,gsm8k=0.32"})
    run_line(line, {"--help"});
}

/// Checks only that every flag is known, because an unknown flag is an error even together with
/// --help. The tests in hub_tests check the effects of the flags with a fake hub.
TEST_F(DocumentedCommands, DownloadKnowsEveryDocumentedFlag) {
  for (const char* line :
       {"download", "download skyoo2003/bit-axon",
        "download skyoo2003/bit-axon --local-dir ./models/bit-axon",
        "download skyoo2003/bit-axon -d models/bit-axon",
        "download skyoo2003/bit-axon --include \"*.json\" --include \"*.safetensors\""})
    run_line(line, {"--help"});
}

// ---- a preset together with a model

TEST_F(DocumentedCommands, APresetIsIgnoredWhenAModelIsNamed) {
  write_adapter(at("adapter.safetensors"));
  const Arguments device = {"--device", "cpu"};
  for (const std::string flag : {"--config-small", "--config-medium"}) {
    const std::string said =
        fmt::format("bit-axon: {} is ignored: the model's own config.json is used\n", flag);
    for (const Arguments& command : std::vector<Arguments>{
             Arguments{"run", "-m", "model", "--seed", "1", "--max-tokens", "3", "a"} + device,
             {"tokenize", "-m", "model", "a"},
             {"inspect", "model"},
             Arguments{"evaluate", "model", "--max-tokens", "9"} + device,
             Arguments{"compare", "-m", "model", "--max-tokens", "1", "--a", "cpu", "--b", "cpu",
                       "a"},
             {"quantize", "model", "-o", "out"},
             {"merge", "model", "-a", "adapter.safetensors", "-o", "out"},
             {"merge", "--base-model", "model", "-a", "adapter.safetensors", "-o", "out"}}) {
      fs::remove_all(at("out"));
      const std::string expected = run_well(command, "", surroundings_).out;
      fs::remove_all(at("out"));
      const Finished finished = run_well(command + Arguments{flag}, "", surroundings_);
      SCOPED_TRACE(finished.describe());
      EXPECT_NE(finished.err.find(said), std::string::npos);
      EXPECT_EQ(finished.err.find(said), finished.err.rfind(said)) << "the message appears twice";
      // The output of compare and inspect has times or free memory, which differ from run to run.
      const bool is_steady = command[0] != "compare" && command[0] != "inspect";
      EXPECT_EQ(is_steady ? finished.out : expected, expected);
      fs::remove_all(at("out"));
      const Finished quiet = run_well(command + Arguments{flag, "--quiet"}, "", surroundings_);
      EXPECT_EQ(quiet.err, "");
    }
  }
}

// ---- names of models and tokenizers

TEST_F(DocumentedCommands, AMissingHubTokenizerNamesTheDownloadCommand) {
  const Finished finished =
      run({"evaluate", "./model", "--quiet", "-t", "Qwen/Qwen3-4B"}, "", surroundings_);
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(finished.err_lines().size(), 1U) << finished.err;
  for (const char* part :
       {"--tokenizer Qwen/Qwen3-4B", "`bit-axon download Qwen/Qwen3-4B --include \"tokenizer*\"`"})
    EXPECT_NE(finished.err.find(part), std::string::npos) << finished.err;
}

TEST_F(DocumentedCommands, MergedModelsAreNamedAfterTheirBase) {
  write_adapter(at("adapter.safetensors"));
  const auto expect = [&](const std::string& base, const std::string& folder,
                          const std::string& output) {
    SCOPED_TRACE(base);
    Surroundings there = surroundings_;
    there.folder = at(folder);
    fs::remove_all(at(output));
    run_well({"merge", base, "-a", at("adapter.safetensors").string(), "--quiet"}, "", there);
    EXPECT_TRUE(fs::exists(at(output) / "config.json"));
  };
  expect("model///", "", "model-merged");
  expect("../model", "base-model", "model-merged");
  expect("model/model.safetensors", "", "model-merged");
  expect(".", "model", "model-merged");
  expect("model.safetensors", "model", "model-merged");
  expect("../model/../base-model/.", "model", "base-model-merged");
  fs::create_directories(at("model/below"));
  expect("..", "model/below", "model-merged");
}

}  // namespace
}  // namespace bitaxon::test
