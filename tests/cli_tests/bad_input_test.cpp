// Invalid input gives one line on stderr and nothing on stdout, and leaves no file behind.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "model_folder.h"
#include "program.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

struct BadCase {
  Arguments arguments;
  int status;             ///< 2 if the command line is invalid, 1 if a file or device is invalid
  std::string mentioned;  ///< text that the message must contain
  std::string input = {};
  std::map<std::string, std::string> environment = {};
};

/// The contents of a Git LFS pointer file.
constexpr const char* kPointer =
    "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 11422654\n";

/// A working folder with the files of the cases. The cases name these files by short relative
/// paths.
class BadInputCli : public testing::Test {
 protected:
  BadInputCli() { surroundings_.folder = folder_.path(); }

  fs::path at(const std::string& name) const { return folder_ / name; }
  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(at(name).parent_path());
    write_file(at(name), text);
  }
  /// Adds a folder with the smallest recorded model.
  void add_model(const std::string& name) const {
    copy_model(golden_dir() / kSmallestModel, at(name));
  }
  void add_model(const std::string& name, const std::string& file, const std::string& text) const {
    add_model(name);
    write(name + "/" + file, text);
  }

  /// Describes every file in the working folder by path, size and modification time.
  std::vector<std::string> files() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      const bool file = entry.symlink_status().type() == fs::file_type::regular;
      all.push_back(fmt::format("{} {} {}", entry.path().string(), file ? entry.file_size() : 0,
                                file ? entry.last_write_time().time_since_epoch().count() : 0));
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  void expect_refused(const std::vector<BadCase>& cases) {
    const auto before = files();
    for (const BadCase& bad : cases) {
      SCOPED_TRACE(fmt::format("bit-axon '{}'", fmt::join(bad.arguments, "' '")).substr(0, 300));
      surroundings_.environment = bad.environment;
      // --quiet suppresses all output except the error. It must come before a `--` among the
      // arguments.
      Arguments arguments = bad.arguments;
      if (!arguments.empty() && arguments[0].rfind('-', 0) != 0 && arguments[0] != "devices" &&
          bad.mentioned != "--quiet")
        arguments.insert(arguments.begin() + 1, "--quiet");
      const Finished finished = run(arguments, bad.input, surroundings_);
      EXPECT_EQ(finished.status, bad.status) << finished.describe();
      EXPECT_EQ(finished.out, "");
      EXPECT_EQ(finished.err.rfind("bit-axon: ", 0), 0U) << finished.err;
      EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
      EXPECT_TRUE(!finished.err.empty() && finished.err.back() == '\n') << finished.err;
      EXPECT_NE(finished.err.find(bad.mentioned), std::string::npos)
          << "expected to mention " << bad.mentioned << "\n"
          << finished.err;
      EXPECT_TRUE(std::none_of(finished.err.begin(), finished.err.end() - 1, [](char c) {
        return static_cast<unsigned char>(c) < 32 || c == 127;
      })) << finished.err;
    }
    EXPECT_EQ(files(), before);
  }

  TemporaryFolder folder_;
  Surroundings surroundings_;
};

Arguments run_with(const Arguments& more) {
  return Arguments{"run", "--prompt", "a", "--max-tokens", "1"} + more;
}
Arguments run_ids(const Arguments& more) {
  return Arguments{"run", "--prompt-ids", "1,2", "--max-tokens", "1"} + more;
}
Arguments compare_with(const Arguments& more) {
  return Arguments{"compare", "--max-tokens", "1"} + more;
}
Arguments logits_of(const Arguments& more) {
  return Arguments{"logits", "--out", "out.safetensors"} + more;
}

TEST_F(BadInputCli, RefusesUnknownCommandsAndFlags) {
  expect_refused({
      {{}, 2, "subcommand"},
      {{"runn"}, 2, "expected a command, got \"runn\""},
      {{"--nonsense"}, 2, "--nonsense"},
      {{""}, 2, ""},
      {{"run", "--nonsense", "a"}, 2, "--nonsense"},
      {{"run", "a", "b"}, 2, "b"},
      {{"run", "--answer my question"}, 2, "-- comes before a text that begins with -"},
      {{"run", "-x or y?"}, 2, "-- comes before a text that begins with -"},
      {{"run", "--max", "3", "a"}, 2, "--max"},
      {{"run", "--bad\x1b[31m\nflag", "a"}, 2, "--bad"},
      {{"run", "--max-tokens"}, 2, "--max-tokens"},
      {{"run", "--seed", "1", "--seed", "2", "a"}, 2, "--seed"},
      {{"run", "--quiet", "--verbose", "a"}, 2, "--quiet"},
      {{"run", "--quiet=maybe", "a"}, 2, "--quiet"},
      {{"chat", "--json", "a"}, 2, "--json"},
      {{"chat", "--prompt-ids", "1"}, 2, "--prompt-ids"},
      {{"devices", "cpu"}, 2, "cpu"},
      {{"devices", "--device", "cpu"}, 2, "--device"},
      {{"inspect", "a", "--model", "b"}, 2, "--model"},
      {{"tokenize", "a", "--file", "b"}, 2, "--file"},
      {{"detokenize"}, 2, "IDS"},
      {{"detokenize", "1", "--file", "b"}, 2, "--file"},
      {{"logits", "--ids", "1"}, 2, "--out"},
      {{"tokenize", "--config-small", "--config-medium", "a"}, 2, "--config-"},
      {{"tokenize", "--config-small", "--model", "m", "a"}, 1, "--model m"},
      {{"inspect", "--preset", "qwen3-9b"}, 2, "--preset: expected one of small, "},
      {{"benchmark", "--preset", ""}, 2, "--preset"},
      {{"benchmark", "--preset", "qwen3-4b", "--model", "m"}, 2, "--preset"},
      {{"benchmark", "--preset", "small", "--config-medium"}, 2, "--preset"},
      {run_with({"--config-small", "--model", "m"}), 1, "--model m"},
      {run_with({"--model", ""}), 2, "--model"},
      {run_with({"--tokenizer", ""}), 2, "--tokenizer"},
      {run_with({"--seed", ""}), 2, "--seed"},
      {run_with({"--threads", ""}), 2, "--threads"},
      {run_with({"--precision", ""}), 2, "--precision"},
      {run_with({"--device", ""}), 2, "--device"},
      {{"inspect", ""}, 2, "MODEL"},
  });
}

/// A mistyped command is an error even if --help follows.
TEST_F(BadInputCli, RefusesUnknownWordsDespiteHelp) {
  const std::string command = "expected a command, got \"nosuch\"";
  std::vector<BadCase> cases;
  for (const char* question : {"--help", "-h", "--version", "-V"}) {
    cases.push_back({{"nosuch", question}, 2, command});
    cases.push_back({{"nosuch", "run", question}, 2, "nosuch"});
    cases.push_back({{question, "nosuch"}, 2, command});
    cases.push_back({{"--nosuch", question}, 2, "--nosuch"});
    cases.push_back({{"run", "--nosuch", question}, 2, "--nosuch"});
    cases.push_back({{"run", question, "--nosuch"}, 2, "--nosuch"});
    cases.push_back({{"run", "--nosuch=1", question}, 2, "--nosuch"});
    cases.push_back({{"run", "a", "nosuch", question}, 2, "nosuch"});
    cases.push_back({{"devices", "nosuch", question}, 2, "nosuch"});
    cases.push_back({{"devices", "--nosuch", question, "a"}, 2, "--nosuch"});
  }
  expect_refused(cases);
}

TEST_F(BadInputCli, RefusesNumbersOutOfRange) {
  std::vector<BadCase> cases;
  const std::vector<std::pair<std::string, Arguments>> flags = {
      {"--temperature", {"-1", "-0.001", "nan", "inf", "1e999", "warm", "", "0.5x", " 1", "1,5"}},
      {"--top-p", {"1.0001", "-0.1", "nan", "all", "1e400"}},
      {"--min-p", {"2", "-1e-9", "NaN", ""}},
      {"--top-k", {"-1", "1.5", "many", "9223372036854775808", ""}},
      {"--repetition-penalty", {"0", "-1", "nan", "inf", "x"}},
      {"--max-tokens", {"-1", "1.5", "x", "99999999999999999999", "0x10", "1e3"}},
      {"--seed", {"-1", "18446744073709551616", "1.0", "x", "+1"}},
      {"--run-ahead", {"-1", "9", "two", "1.0", ""}},
      {"--threads", {"0", "-1", "1025", "x", "2.0"}},
      {"--precision", {"Exact", "16", "faster"}},
      {"--device", {"gpu", "CPU", "cuda", "vulkanx", "vulkan:", "cpu:0", "a\nb"}},
      {"--stop", {""}},
  };
  for (const auto& [flag, values] : flags)
    for (const std::string& value : values)
      // The command has no other flag, because a second --max-tokens would be an error as well.
      cases.push_back({{"run", "--prompt", "a", flag, value}, 2, flag});
  for (const std::string& value : flags[10].second)
    if (value != "a\nb")
      cases.push_back({{"run", "--prompt", "a"}, 2, "--device", "", {{"BIT_AXON_DEVICE", value}}});
  expect_refused(cases);
}

TEST_F(BadInputCli, RefusesMissingDevices) {
  const std::map<std::string, std::string> no_driver = {{"VK_DRIVER_FILES", "/no/such/driver"},
                                                        {"VK_ICD_FILENAMES", "/no/such/driver"}};
  expect_refused({
      {run_with({"--device", "vulkan"}), 1, "no Vulkan", "", no_driver},
      {run_with({"--device", "vulkan:0"}), 1, "no Vulkan", "", no_driver},
      {run_with({}), 1, "vulkan:99", "", {{"BIT_AXON_DEVICE", "vulkan:99"}}},
      {compare_with({"a", "--a", "vulkan"}), 1, "no Vulkan", "", no_driver},
      {compare_with({"a", "--b", "vulkan:0"}), 1, "no Vulkan", "", no_driver},
      {logits_of({"--ids", "1", "--device", "vulkan:a\x1b[31mb"}), 1, "vulkan:a"},
  });
}

TEST_F(BadInputCli, RefusesAShaderFolderForDevicesWithoutShaders) {
  const std::map<std::string, std::string> no_driver = {{"VK_DRIVER_FILES", "/no/such/driver"},
                                                        {"VK_ICD_FILENAMES", "/no/such/driver"}};
  expect_refused({
      {run_with({"--shader-dir", ""}), 2, "--shader-dir"},
      {run_with({"--shader-dir", ".", "--device", "cpu"}), 2, "--device cpu"},
      {run_with({"--shader-dir", ".", "--device", "reference"}), 2, "--device reference"},
      {run_with({"--shader-dir", "."}), 2, "cpu", "", {{"BIT_AXON_DEVICE", "cpu"}}},
      {run_with({"--shader-dir", "."}), 1, "device cpu has no shaders", "", no_driver},
      {compare_with({"a", "--shader-dir", ".", "--b", "cpu"}), 2, "--b cpu"},
      {logits_of({"--ids", "1", "--shader-dir", ".", "--device", "cpu"}), 2, "--shader-dir"},
  });
}

TEST_F(BadInputCli, RefusesBadPromptsAndFlagCombinations) {
  write("empty.json", "[]");
  write("object.json", "{}");
  write("text.json", "[\"hello\"]");
  write("no_role.json", R"([{"content": "a"}])");
  write("number.json", R"([{"role": "user", "content": 5}])");
  write("broken.json", "[{\"role\": \"user\"");
  write("latin1.json", "[{\"role\": \"user\", \"content\": \"\xe9\"}]");
  write("deep.json", std::string(100000, '['));
  write("twice.json", R"([{"role": "user", "role": "user", "content": "a"}])");
  write("nothing.json", "");
  fs::create_directory(at("folder"));
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  std::vector<BadCase> cases = {
      {{"run"}, 2, "prompt"},
      {{"run"}, 2, "prompt", "\n"},
      {{"run", ""}, 2, "PROMPT"},
      {{"run", "--prompt", ""}, 2, "--prompt"},
      {{"run", "--prompt-ids", ""}, 2, "--prompt-ids"},
      {{"run", "--messages", ""}, 2, "--messages"},
      {{"run", "--messages", "a", "--messages", "b"}, 2, "--messages: expected once, got 2 times"},
      {{"run", "--messages"}, 2, "--messages: expected FILE, got none"},
      {{"run", "a", "--prompt", "b"}, 2, "--prompt"},
      {{"run", "a", "--prompt-ids", "1"}, 2, "--prompt-ids"},
      {{"run", "--prompt-ids", "1", "--messages", "empty.json"}, 2, "--messages"},
      {{"run", "--chat", "--prompt-ids", "1"}, 2, "--chat"},
      {{"run", "--chat", "--messages", "empty.json"}, 2, "--chat"},
      {{"run", "--chat", "--json"}, 2, "--json"},
      {{"run", "a", "--system", "b"}, 2, "--system"},
      {{"run", "--prompt-ids", "1", "--chat-template", "none"}, 2, "--chat-template"},
      {{"run", "--chat", "--chat-template", "llama3"}, 1, "llama3"},
      {{"run", "--chat", "--thinking", "maybe"}, 2, "--thinking"},
      {{"run", "--chat", "--chat-template", ""}, 2, "--chat-template"},
      {{"run"}, 2, "prompt", "\r\n"},
      {{"run", "--messages", "missing.json"}, 1, "missing.json"},
      {{"run", "--messages", "folder"}, 1, "folder"},
      {{"run", "--messages", "pipe"}, 1, "pipe"},
      {{"run", "--messages", "/dev/zero"}, 1, "/dev/zero"},
  };
  for (const char* file : {"empty.json", "object.json", "text.json", "no_role.json", "number.json",
                           "broken.json", "latin1.json", "deep.json", "twice.json", "nothing.json"})
    cases.push_back({{"run", "--messages", file}, 1, file});
  expect_refused(cases);
}

TEST_F(BadInputCli, RefusesBadIdsAndSplits) {
  write("ids/broken.json", "[1,");
  write("ids/object.json", "{\"ids\": [1]}");
  write("ids/floats.json", "[1, 2.5]");
  write("ids/one_point_zero.json", "[1.0]");
  write("ids/negative.json", "[1, -1]");
  write("ids/text.json", "[1, \"2\"]");
  write("ids/nested.json", "[[1]]");
  write("ids/deep.json", std::string(1000000, '['));
  write("ids/huge.json", "[1" + std::string(10000, '0') + "]");
  write("ids/too_large.json", "[2147483648]");
  write("ids/empty.json", "[]");
  write("ids/nothing.json", "");
  write("ids/more.json", "[1] [2]");
  write("ids/python.json", "[1, 2, ]");
  write("ids/nul.json", std::string("[1\0]", 4));
  std::vector<BadCase> cases;
  for (const char* ids : {"x",
                          "1,",
                          ",1",
                          "1,,2",
                          "1;2",
                          "1 2",
                          "-1",
                          "1,-2",
                          "1.5",
                          "2147483648",
                          "99999999999999999999",
                          "[1,2",
                          "1,2]",
                          "[]",
                          " ",
                          "0x1",
                          "+1",
                          "1e2",
                          "[[1]]",
                          "1\n\x1b[2J"}) {
    cases.push_back({{"run", "--prompt-ids", ids}, 2, "--prompt-ids"});
    cases.push_back({logits_of({"--ids", ids}), 2, "--ids"});
    // Unlike the other commands, detokenize accepts brackets around its argument, and spaces
    // between ids.
    if (std::string(ids) != "[[1]]" && std::string(ids) != "1 2")
      cases.push_back({{"detokenize", "--", ids}, 2, "IDS"});
  }
  for (const auto& entry : fs::directory_iterator(at("ids"))) {
    const std::string file = "ids/" + entry.path().filename().string();
    cases.push_back({logits_of({"--ids-file", file}), 1, file});
    if (file != "ids/empty.json") cases.push_back({{"detokenize", "--file", file}, 1, file});
  }
  for (const char* split : {"3", "1", "1,1,1", "0,2", "2,0", "-1,3", "1,x", "1.0,1", "",
                            "2147483647,2147483647", "1,1,", "2147483648"})
    cases.push_back({logits_of({"--ids", "1,2", "--split", split}), 2, "--split"});
  expect_refused(cases);
  expect_refused({
      {logits_of({}), 2, "--ids"},
      {logits_of({"--ids", ""}), 2, "--ids"},
      {logits_of({"--ids", "1", "--ids-file", "ids/broken.json"}), 2, "--ids"},
      {logits_of({"--ids-file", "missing"}), 1, "missing"},
      {logits_of({"--ids", "1024"}), 1, "1024"},
      {logits_of({"--ids", "1,2,2147483647"}), 1, "2147483647"},
      {{"run", "--prompt-ids", "1,1024"}, 1, "1024"},
      {{"run", "--prompt-ids", "1,1024", "--save-state", "state"}, 1, "1024"},
      {logits_of({"--ids", "1,1024", "--save-state", "state"}), 1, "1024"},
  });
}

TEST_F(BadInputCli, RefusesBadComparisons) {
  write("empty.json", "[]");
  std::vector<BadCase> cases = {
      {{"compare"}, 2, "prompt"},
      {{"compare"}, 2, "prompt", "\n"},
      {{"compare", ""}, 2, "PROMPT"},
      {{"compare", "a", "b"}, 2, "b"},
      {{"compare", "--device", "cpu", "a"}, 2, "--device"},
      {{"compare", "--prompt", "a \xff"}, 1, "UTF-8"},
      {{"compare", "--max-tokens", "1", "--max-tokens", "1", "a"}, 2, "--max-tokens"},
      {compare_with({"a", "--prompt", "b"}), 2, "--prompt"},
      {compare_with({"a", "--ids", "1"}), 2, "--ids"},
      {compare_with({"--ids", "1", "--ids-file", "empty.json"}), 2, "--ids"},
      {compare_with({"--ids", "1;2"}), 2, "--ids"},
      {compare_with({"--ids", "1,1024"}), 1, "1024"},
      {compare_with({"--ids-file", "missing"}), 1, "missing"},
      {compare_with({"--ids-file", "empty.json"}), 1, "empty.json"},
      {compare_with({"--ids", "1,2", "--split", "3"}), 2, "--split"},
      {compare_with({"To be", "--split", "1"}), 2, "--split"},
      {compare_with({"a", "--config-medium", "--config-small"}), 2, "--config-"},
      {compare_with({"a", "--config-small", "-m", "m"}), 1, "--model m"},
      {compare_with({"a", "-m", "missing"}), 1, "missing"},
      {compare_with({"a", "-t", "missing"}), 1, "missing"},
      {compare_with({"a", "-m", golden_model(kSmallestModel).string()}), 1, "--ids"},
      {compare_with({"a", "--a", "cpu"}), 2, "--b", "", {{"BIT_AXON_DEVICE", "nonsense"}}},
  };
  const std::vector<std::pair<std::string, Arguments>> values = {
      {"--a", {"gpu", "", "cpu:0", "a\nb"}},
      {"--b", {"gpu", "", "CPU"}},
      {"--tolerance", {"-1", "nan", "inf", "", "1e999", "5e-5x"}},
      {"--max-tokens", {"-1", "1.5", "", "many"}},
      {"--threads", {"0", "x", ""}},
      {"--precision", {"exactly", ""}}};
  for (const auto& [flag, bad] : values)
    for (const std::string& value : bad) cases.push_back({{"compare", "a", flag, value}, 2, flag});
  expect_refused(cases);
}

TEST_F(BadInputCli, RefusesBrokenModels) {
  const std::string good = read_file(golden_model(kSmallestModel));
  add_model("lfs", "model.safetensors",
            "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, 'a') +
                "\nsize 287424\n");
  add_model("truncated", "model.safetensors", good.substr(0, good.size() - 1));
  add_model("header_only", "model.safetensors", good.substr(0, 100));
  add_model("seven_bytes", "model.safetensors", good.substr(0, 7));
  add_model("nothing", "model.safetensors", "");
  add_model("text", "model.safetensors", "This is no model at all.\n");
  add_model("longer", "model.safetensors", good + "x");
  add_model("html", "model.safetensors", "<!DOCTYPE html>\n<html>not found</html>\n");
  add_model("no_config");
  fs::remove(at("no_config/config.json"));
  add_model("escape\x1b[31m\nname");
  fs::remove(at("escape\x1b[31m\nname/config.json"));
  fs::create_directory(at("empty"));
  add_model("weights_folder");
  fs::remove(at("weights_folder/model.safetensors"));
  fs::create_directory(at("weights_folder/model.safetensors"));
  add_model("pipe");
  fs::remove(at("pipe/model.safetensors"));
  ASSERT_EQ(::mkfifo(at("pipe/model.safetensors").c_str(), 0600), 0);
  add_model("dangling");
  fs::remove(at("dangling/model.safetensors"));
  fs::create_symlink("nowhere", at("dangling/model.safetensors"));
  add_model("circle");
  fs::remove(at("circle/model.safetensors"));
  fs::create_symlink("model.safetensors", at("circle/model.safetensors"));
  add_model("no_shard");
  fs::rename(at("no_shard/model.safetensors"), at("no_shard/model-1.safetensors"));
  write("no_shard/model.safetensors.index.json",
        R"({"weight_map": {"embed_tokens.weight": "model-2.safetensors"}})");
  std::vector<BadCase> cases = {
      {run_ids({"-m", "missing"}), 1, "missing"},
      {run_ids({"-m", "no/such"}), 1, "no/such"},
      {run_ids({"-m", "lfs/missing.safetensors"}), 1, "missing"},
      {run_ids({"-m", "lfs/config.json"}), 1, "config.json"},
      {run_ids({"-m", "pipe/model.safetensors"}), 1, "pipe"},
      {run_ids({"-m", "/dev/zero"}), 1, "/dev/zero"},
      {run_ids({"-m", std::string(5000, 'x')}), 1, "xxx"},
      {run_ids({"-m", "no\x1b[31m\nthing"}), 1, "thing"},
      {run_ids({"-m", "escape\x1b[31m\nname"}), 1, "config.json"},
  };
  for (const char* name :
       {"lfs", "truncated", "header_only", "seven_bytes", "nothing", "text", "longer", "html",
        "no_config", "empty", "weights_folder", "pipe", "dangling", "circle", "no_shard"}) {
    cases.push_back({run_ids({"-m", name}), 1, name});
    cases.push_back({{"inspect", name}, 1, name});
  }
  cases.push_back(
      {logits_of({"-m", "truncated", "--ids", "1", "--save-state", "s"}), 1, "incomplete"});
  cases.push_back({{"inspect", "lfs"}, 1, "LFS"});
  expect_refused(cases);
}

TEST_F(BadInputCli, RefusesBrokenConfigurations) {
  const Json good = Json::parse(read_file(golden_dir() / kSmallestModel / "config.json"));
  std::vector<BadCase> cases;
  int n = 0;
  const auto add = [&](const std::string& text, const std::string& mentioned) {
    const std::string name = fmt::format("config{}", n++);
    add_model(name, "config.json", text);
    cases.push_back({run_ids({"-m", name}), 1, mentioned});
    cases.push_back({{"inspect", name}, 1, mentioned});
  };
  add("", "config.json");
  add("{", "config.json");
  add("[]", "config.json");
  add("{} {}", "config.json");
  add("{\"vocab_size\": 128, \"vocab_size\": 128}", "vocab_size");
  add("{\"vocab_size\": 1e999}", "config.json");
  add(std::string(2 << 20, ' ') + "{}", "config.json");
  add(kPointer, "LFS");
  add("", "0 bytes");
  add(std::string(100000, '['), "config.json");
  add("{\"\xff\": 1}", "config.json");
  const std::vector<std::pair<std::string, Json>> values = {
      {"vocab_size", "128"},    {"vocab_size", 0},
      {"vocab_size", -1},       {"vocab_size", 1.5},
      {"vocab_size", nullptr},  {"vocab_size", 1ULL << 63},
      {"hidden_dim", true},     {"hidden_dim", 33},
      {"num_heads", 3},         {"num_layers", 1000000},
      {"moe_top_k", 5},         {"moe_num_experts", 0},
      {"moe_shared_expert", 1}, {"weight_tying", "yes"},
      {"rms_norm_eps", 0},      {"rms_norm_eps", -1e-6},
      {"rms_norm_eps", "x"},    {"max_seq_len", 0},
      {"swa_window_size", 0},   {"ssm_d_conv", Json::array()}};
  for (const auto& [key, value] : values) {
    Json config = good;
    config[key] = value;
    add(config.dump(), key == "hidden_dim" && value == 33 ? "hidden_dim" : key);
  }
  // These configurations are valid, but they do not match the tensors.
  for (const char* key : {"vocab_size", "d_source_model", "ssm_d_state", "num_layers"}) {
    Json config = good;
    config[key] = good[key].get<int>() * 2;
    add(config.dump(), "expected");
  }
  expect_refused(cases);
}

TEST_F(BadInputCli, RefusesBrokenTokenizers) {
  const std::string good = read_file(bundled_model_dir() / "tokenizer.json");
  add_model("broken", "tokenizer.json", good.substr(0, 2000));
  add_model("object", "tokenizer.json", "{}");
  add_model("empty", "tokenizer.json", "");
  add_model("wide", "tokenizer.json", good);  // the tokenizer has 1024 ids, but the model only 128
  add_model("pointer", "tokenizer.json", kPointer);
  // This file ends in the middle of a number.
  add_model("cut", "tokenizer.json", good.substr(0, 5000));
  add_model("none");
  add_model("folder");
  fs::create_directory(at("folder/tokenizer.json"));
  write("broken.model",
        read_file(golden_dir() / "sentencepiece" / "tokenizer.model").substr(0, 5000));
  write("latin1.txt", "\xe9\xe9\xe9");
  fs::create_directory(at("no_tokenizer"));
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  std::vector<BadCase> cases;
  cases.push_back({run_with({"-m", "pointer"}), 1, "LFS"});
  cases.push_back({run_with({"-m", "cut"}), 1, "incomplete"});
  cases.push_back({run_with({"-m", "empty"}), 1, "0 bytes"});
  cases.push_back({{"run", "--prompt", "broken \xff"}, 1, "UTF-8"});
  cases.push_back({{"tokenize", "--file", "latin1.txt"}, 1, "UTF-8"});
  for (const char* name : {"broken", "object", "empty", "folder", "pointer", "cut"}) {
    cases.push_back({run_with({"-m", name}), 1, "tokenizer.json"});
    cases.push_back({{"tokenize", "-m", name, "a"}, 1, "tokenizer.json"});
  }
  for (const char* name :
       {"missing", "broken/tokenizer.json", "broken.model", "latin1.txt", "no_tokenizer", "pipe",
        "broken/model.safetensors", "/dev/null", "bad\x1b[31mname"}) {
    const std::string mentioned = std::string(name).substr(0, 3);
    cases.push_back({run_with({"-t", name}), 1, mentioned});
    cases.push_back({{"tokenize", "-t", name, "a"}, 1, mentioned});
    cases.push_back({{"detokenize", "-t", name, "1"}, 1, mentioned});
  }
  for (const char* both : {"1024", "128"}) {
    cases.push_back({run_with({"-m", "wide"}), 1, both});
    cases.push_back({{"tokenize", "-m", "wide", "a"}, 1, both});
  }
  cases.push_back({run_with({"-m", "none"}), 1, "--tokenizer"});
  cases.push_back({{"tokenize", "-m", "none", "a"}, 1, "--tokenizer"});
  cases.push_back({{"run", "--chat", "-m", "none"}, 1, "--tokenizer"});
  cases.push_back({run_ids({"-m", "none", "--stop", "x"}), 1, "tokenizer"});
  cases.push_back({{"tokenize", "--config-medium", "a"}, 1, "--tokenizer"});
  for (const char* file : {"missing", "no_tokenizer", "pipe", "/dev/zero"})
    cases.push_back({{"tokenize", "--file", file}, 1, file});
  expect_refused(cases);
}

TEST_F(BadInputCli, RefusesBrokenMappings) {
  std::vector<BadCase> cases;
  int n = 0;
  for (const char* mapping :
       {"[]", "{1: 2", "{1: 128}", "{1: -1}", "{1: 2, 3: 2}", "{1: 2, 1: 3}", "__import__('os')",
        "{1: 1+1}", "{1: 2.0}", "{1.5: 2}", "{'a': 2}", "{1: 99999999999999999999}", "x"}) {
    const std::string name = fmt::format("mapping{}", n++);
    add_model(name);
    rewrite_model(golden_model(kSmallestModel), at(name + "/model.safetensors"),
                  {{"vocab_mapping", mapping}});
    write_file(at(name + "/tokenizer.json"), read_file(bundled_model_dir() / "tokenizer.json"));
    cases.push_back({{"tokenize", "-m", name, "a"}, 1, "vocab_mapping"});
    cases.push_back({run_with({"-m", name}), 1, "vocab_mapping"});
  }
  expect_refused(cases);
}

TEST_F(BadInputCli, RefusesDamagedAndForeignStates) {
  const Arguments save = {"logits", "--ids", "1,2,3", "--quiet", "--out"};
  run_well(save + Arguments{at("l").string(), "--save-state", at("good").string(), "--precision",
                            "exact"});
  run_well(save +
           Arguments{at("l").string(), "--save-state", at("fast").string(), "--precision", "fast"});
  run_well(save + Arguments{at("l").string(), "--save-state", at("other").string(), "-m",
                            golden_model(kSmallestModel).string()});
  run_well(save + Arguments{at("l").string(), "--save-state", at("small").string(),
                            "--config-small", "--precision", "exact"});
  const std::string good = read_file(at("good"));
  write("truncated", good.substr(0, good.size() - 1));
  write("longer", good + "x");
  write("text", "no state\n");
  write("nothing", "");
  for (const std::size_t at_byte : {good.size() - 1, good.size() - 5000, good.size() / 2}) {
    std::string damaged = good;
    damaged[at_byte] = static_cast<char>(damaged[at_byte] ^ 1);
    write(fmt::format("damaged{}", at_byte), damaged);
  }
  const auto edited = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t found = text.find(from);
    EXPECT_NE(found, std::string::npos) << from;
    EXPECT_EQ(from.size(), to.size());
    return text.replace(found, from.size(), to);
  };
  write("tokens", edited("\"tokens\":\"3\"", "\"tokens\":\"4\""));
  write("version", edited("\"version\":\"1\"", "\"version\":\"9\""));
  write("format", edited("bit-axon state", "bit-axom state"));
  fs::create_directory(at("folder"));
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  std::vector<BadCase> cases;
  for (const auto& entry : fs::directory_iterator(folder_.path())) {
    const std::string name = entry.path().filename().string();
    if (name == "good") continue;
    cases.push_back({run_ids({"--precision", "exact", "--load-state", name}), 1, name});
    cases.push_back(
        {logits_of({"--ids", "1", "--precision", "exact", "--load-state", name}), 1, name});
  }
  ASSERT_GE(cases.size(), 28U);
  cases.push_back({run_ids({"--load-state", "missing"}), 1, "missing"});
  cases.push_back({run_ids({"--load-state", ""}), 2, "--load-state"});
  cases.push_back({run_ids({"--load-state", "fast", "--precision", "exact"}), 1, "--precision"});
  cases.push_back({run_ids({"--load-state", "good", "--precision", "fast"}), 1, "--precision"});
  cases.push_back({run_ids({"--load-state", "truncated", "--save-state", "new"}), 1, "truncated"});
  cases.push_back({{"run", "--chat", "--load-state", "truncated"}, 1, "truncated"});
  expect_refused(cases);
}

TEST_F(BadInputCli, RefusesUnwritableOutputs) {
  fs::create_directory(at("folder"));
  write("file", "x");
  write("model.txt", "x");
  std::vector<BadCase> cases;
  for (const char* out : {"missing/out", "file/out", "missing\x1b[31m/out"}) {
    cases.push_back({{"logits", "--ids", "1", "--out", out}, 1, "--out"});
    cases.push_back({logits_of({"--ids", "1", "--save-state", out}), 1, "--save-state"});
    cases.push_back({run_with({"--save-state", out}), 1, "--save-state"});
  }
  // Renaming a file to one of these names would replace the pipe, or replace the device file for
  // all users.
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  for (const char* out : {"folder", "folder/", ".", "/", "missing/", "", "pipe", "/dev/null"}) {
    cases.push_back({{"logits", "--ids", "1", "--out", out}, 2, "--out"});
    cases.push_back({run_with({"--save-state", out}), 2, "--save-state"});
  }
  if (::geteuid() != 0) {  // permissions do not stop root
    fs::create_directory(at("locked"));
    fs::permissions(at("locked"), fs::perms::owner_read | fs::perms::owner_exec);
    cases.push_back({{"logits", "--ids", "1", "--out", "locked/out"}, 1, "--out"});
    cases.push_back({run_with({"--save-state", "locked/out"}), 1, "--save-state"});
  }
  // Both flags name the same file, so one of the outputs would be lost.
  cases.push_back(
      {logits_of({"--ids", "1", "--save-state", "out.safetensors"}), 2, "--save-state"});
  expect_refused(cases);
}

}  // namespace
}  // namespace bitaxon::test
