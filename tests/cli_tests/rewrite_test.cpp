// Tests of `quantize` and `merge`: what the new model keeps of the old one, what the commands
// report, and how they end after an error.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "format_tests/stored_tensor.h"
#include "model/model_writer.h"
#include "model_folder.h"
#include "platform/file.h"
#include "program.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class RewriteCli : public testing::Test {
 protected:
  RewriteCli() { fs::create_directory(path("base")); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string base() const { return path("base"); }

  /// Copies a recorded model of a few hundred KiB and adds a tokenizer file.
  void copy_base(const std::string& golden) {
    fs::remove_all(base());
    copy_model(golden_dir() / golden, base());
    write_file(path("base/tokenizer.json"), "{}");
  }
  /// Reads the tensors of a recorded model as F32 numbers.
  static StoredModel stored_model(const std::string& golden) {
    const ModelFiles files = model_files(golden_dir() / golden);
    StoredModel model{read_config(files.folder), {}, {}};
    const Checkpoint file = Checkpoint::open(files.weights / "model.safetensors");
    for (const TensorInfo& tensor : file.tensors())
      model.tensors[tensor.name] = {Shape(tensor.shape), read_f32(file, tensor.name)};
    return model;
  }
  /// Writes an adapter for the matrix out_proj of the first layer. Most other matrices have half as
  /// many columns.
  std::string write_adapter(const BitAxonConfig& config, float size = 0.03F) const {
    const auto numbers = [&](Shape shape) {
      NamedTensor tensor{shape, {}};
      for (std::int64_t i = 0; i < shape.elements(); ++i)
        tensor.values.push_back(size * std::sin(static_cast<float>(i + 1)));
      return tensor;
    };
    write_tensors(path("adapter.safetensors"),
                  {{"layer_0.ssm.out_proj.lora_a", numbers({config.d_inner(), 2})},
                   {"layer_0.ssm.out_proj.lora_b", numbers({2, config.hidden_dim})}});
    return path("adapter.safetensors");
  }
  std::string write_adapter() const { return write_adapter(read_config(base())); }
  Arguments quantize(const Arguments& more = {}) const {
    return Arguments{"quantize", base(), "--format", "mlx", "-o", path("out")} + more;
  }
  Arguments merge(const Arguments& more = {}) const {
    return Arguments{"merge", base(), "-a", write_adapter(), "-o", path("out")} + more;
  }
  /// Expects that both commands fail with one line that has all fragments, and that neither command
  /// leaves files.
  void expect_both_fail(std::initializer_list<std::string_view> fragments,
                        const Surroundings& surroundings = {}) const {
    for (const Arguments& arguments : {quantize({"--quiet"}), merge({"--quiet"})})
      expect_failure(arguments, 1, fragments, surroundings);
  }
  void expect_failure(const Arguments& arguments, int status,
                      std::initializer_list<std::string_view> fragments,
                      const Surroundings& surroundings = {}) const {
    const Finished finished = run(arguments, "", surroundings);
    EXPECT_EQ(finished.status, status) << finished.describe();
    EXPECT_EQ(finished.err_lines().size(), 1U) << finished.describe();
    for (const std::string_view fragment : fragments)
      EXPECT_NE(finished.err.find(fragment), std::string::npos) << finished.describe();
    EXPECT_FALSE(fs::exists(path("out")));
    EXPECT_EQ(temporary(), "");
  }
  /// The path of an unfinished output folder. Empty if there is no such folder.
  std::string temporary() const {
    for (const auto& entry : fs::directory_iterator(folder_.path()))
      if (entry.path().extension() == ".tmp") return entry.path().string();
    return "";
  }

  TemporaryFolder folder_;
};

// ---- what the new model keeps

TEST_F(RewriteCli, KeepsEveryKeyOfTheConfiguration) {
  copy_base("tiny_window");
  Json config = Json::parse(read_file(path("base/config.json")));
  config.erase("rms_norm_eps");  // without this key, the default value applies
  config["eos_token_id"] = 7;
  config["author"] = {{"name", "someone"}};
  config["quantization"] = {{"bits", 16}};
  write_file(path("base/config.json"), config.dump());
  const auto written = [&](const Arguments& command) {
    fs::remove_all(path("out"));
    const Finished finished = run_well(command);
    EXPECT_NE(finished.err.find("\"author\""), std::string::npos) << finished.err;
    EXPECT_EQ(finished.err.find("eos_token_id"), std::string::npos) << finished.err;
    return Json::parse(read_file(path("out/config.json")));
  };
  config["rms_norm_eps"] = 1e-6;
  EXPECT_EQ(written(merge()), config);
  // Quantize replaces this key, because the new model is quantized differently.
  config.erase("quantization");
  EXPECT_EQ(written(quantize()), config);
}

TEST_F(RewriteCli, KeepsEveryFileOfTheTokenizerAndTheChat) {
  copy_base("tiny_window");
  std::vector<std::string> names = {"tokenizer.json",
                                    "tokenizer.model",
                                    "tokenizer.model.v3",
                                    "tokenizer_config.json",
                                    "special_tokens_map.json",
                                    "added_tokens.json",
                                    "vocab.json",
                                    "vocab.txt",
                                    "merges.txt",
                                    "normalizer.json",
                                    "spiece.model",
                                    "sentencepiece.bpe.model",
                                    "tekken.json",
                                    "qwen.tiktoken",
                                    "tokenization_qwen.py",
                                    "chat_template.jinja",
                                    "chat_template.json",
                                    "processor_config.json",
                                    "generation_config.json",
                                    "additional_chat_templates/tool_use.jinja",
                                    "tokenizer/tokenizer_config.json",
                                    "tokenizer/additional_chat_templates/rag.jinja"};
  fs::create_directories(path("base/tokenizer/additional_chat_templates"));
  fs::create_directories(path("base/additional_chat_templates"));
  for (const std::string& name : names) write_file(path("base/" + name), "of " + name);
  for (const char* name : {"README.md", "optimizer.pt", "model.onnx"})
    write_file(path(std::string("base/") + name), "x");
  names.insert(names.end(), {"config.json", "model.safetensors"});
  std::sort(names.begin(), names.end());
  for (const Arguments& command : {quantize(), merge()}) {
    fs::remove_all(path("out"));
    run_well(command);
    std::vector<std::string> written;
    for (const auto& entry : fs::recursive_directory_iterator(path("out")))
      if (entry.is_regular_file())
        written.push_back(fs::relative(entry.path(), path("out")).string());
    std::sort(written.begin(), written.end());
    EXPECT_EQ(written, names);
    for (const std::string& name : written) {
      if (name == "config.json" || name == "model.safetensors") continue;
      EXPECT_EQ(read_file(path("out/" + name)), "of " + name);
    }
  }
}

TEST_F(RewriteCli, TensorsOfOtherTypesKeepTheirBytes) {
  copy_base("tiny_window");
  const std::vector<StoredTensor> others = {
      stored_text("a.text", "odd"),
      {"b.mask", StoredType::named("BOOL").value(), {3}, std::string("\1\0\1", 3)},
      {"c.codes", StoredType::named("F4").value(), {1, 1, 1, 1, 1, 1, 1, 1, 1, 2}, "\x12"},
      {"d.step", StoredType::named("U64").value(), {}, "12345678"}};
  write_checkpoint(path("base/other.safetensors"), others);
  for (const Arguments& command : {quantize(), merge()}) {
    fs::remove_all(path("out"));
    EXPECT_NE(run_well(command).err.find("4 tensors the model does not know"), std::string::npos);
    const Checkpoint after = Checkpoint::open(path("out"));
    for (const StoredTensor& other : others) {
      const TensorInfo* tensor = after.find(other.name);
      ASSERT_NE(tensor, nullptr) << other.name;
      EXPECT_EQ(tensor->dtype, other.dtype) << other.name;
      EXPECT_EQ(tensor->shape, other.shape) << other.name;
      const std::vector<std::byte> bytes = bytes_of(after, other.name);
      EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
                other.bytes.substr(0, bytes.size()))
          << other.name;
    }
  }
}

TEST_F(RewriteCli, AnAdapterMayBeAFolderOrANameWithoutItsEnding) {
  copy_base("tiny_window");
  const std::string file = write_adapter();
  run_well({"merge", base(), "-a", file, "-o", path("expected"), "--quiet"});
  // These are the files of a training checkpoint. Its step counter is a U64 tensor.
  fs::create_directory(path("step_00000100"));
  fs::copy_file(file, path("step_00000100/adapters.safetensors"));
  write_checkpoint(path("step_00000100/optimizer_state.safetensors"),
                   {zeros("step", StoredType::named("U64").value(), {}),
                    zeros("layer_0.ssm.out_proj.lora_a.m", DType::f32, {4, 2})});
  write_file(path("step_00000100/training_state.json"), "{}");
  for (const std::string& adapter : {path("step_00000100"), path("step_00000100/"),
                                     path("step_00000100/adapters"), path("adapter")}) {
    fs::remove_all(path("out"));
    run_well({"merge", base(), "-a", adapter, "-o", path("out"), "--quiet"});
    EXPECT_EQ(read_file(path("out/model.safetensors")),
              read_file(path("expected/model.safetensors")))
        << adapter;
  }
  fs::remove_all(path("out"));
  expect_failure({"merge", base(), "-a", path("step"), "-o", path("out"), "--quiet"}, 1,
                 {path("step"), "found nothing there"});
}

TEST_F(RewriteCli, WeightsThatAreNotAdaptedKeepTheirBytes) {
  copy_base("tiny_nf4");
  run_well(merge({"--quiet"}));
  const Checkpoint before = Checkpoint::open(base()), after = Checkpoint::open(path("out"));
  EXPECT_EQ(before.tensors().size(), after.tensors().size());
  const std::string adapted = "layer_0.ssm.out_proj.weight";
  const std::string state = adapted + ".quant_state.bitsandbytes__nf4";
  for (const TensorInfo& tensor : before.tensors()) {
    const bool may_differ = tensor.name == adapted || tensor.name == adapted + ".absmax";
    EXPECT_EQ(after.find(tensor.name)->shape, tensor.shape) << tensor.name;
    EXPECT_EQ(bytes_of(before, tensor.name) == bytes_of(after, tensor.name), !may_differ)
        << tensor.name;
  }
  const std::vector<std::byte> text = bytes_of(after, state);
  EXPECT_NE(std::string(reinterpret_cast<const char*>(text.data()), text.size())
                .find(R"("dtype": "float32")"),
            std::string::npos);

  fs::remove_all(path("out"));
  run_well(merge({"--quiet", "--no-re-quantize"}));
  EXPECT_EQ(Checkpoint::open(path("out")).find(adapted)->dtype, DType::f32);
}

TEST_F(RewriteCli, KeepsUnadaptedWeightsThatDoNotDivideIntoGroups) {
  copy_base("tiny_nf4");
  const Json report = run_json(merge({"--quiet", "--json", "--group-size", "128"}));
  EXPECT_GT(report["parts"]["ssm"]["relative_error"], 0.0);
  // An adapted matrix keeps most of a large change. The experts are not adapted.
  EXPECT_GT(report["total"]["kept_change"], 0.5);
  EXPECT_LT(report["total"]["kept_change"], 1.5);
  EXPECT_TRUE(report["parts"]["experts"]["kept_change"].is_null());
  const Json formats = run_json({"inspect", path("out"), "--json"})["formats"];
  EXPECT_TRUE(formats.contains("nf4_g64")) << formats;
  EXPECT_TRUE(formats.contains("nf4_g128")) << formats;
}

// ---- what the commands report

TEST_F(RewriteCli, ReportsTheSameCountsAsInspect) {
  StoredModel headless = stored_model("tiny_window");
  headless.tensors.erase("lm_head.weight");
  write_model(base(), headless);
  for (const std::string& model : {base(), bundled_model_dir().string()})
    for (const char* format : {"mlx", "nf4"})
      for (const bool nested : {false, true}) {
        if (nested && format != std::string("nf4")) continue;
        SCOPED_TRACE(fmt::format("{} {} {}", model, format, nested));
        fs::remove_all(path("out"));
        Arguments arguments = {"quantize", model, "--format", format, "--json", "-o", path("out")};
        if (nested) arguments.push_back("--double-quant");
        const Json report = run_json(arguments);
        const Json before = run_json({"inspect", model, "--json"});
        const Json after = run_json({"inspect", path("out"), "--json"});
        EXPECT_EQ(report["total"]["parameters"], before["parameters"]);
        EXPECT_EQ(after["parameters"], before["parameters"]);
        EXPECT_EQ(report["total"]["bytes_before"], before["bytes"]);
        EXPECT_EQ(report["total"]["bytes_after"], after["bytes"]);
        EXPECT_EQ(report["parts"]["head"]["bytes_before"] == 0, model == base());
        std::uint64_t stored = 0;
        const Checkpoint file = Checkpoint::open(path("out"));
        for (const TensorInfo& tensor : file.tensors()) stored += tensor.size_bytes;
        EXPECT_EQ(after["bytes"], stored);
      }
}

TEST_F(RewriteCli, InspectCountsShortBlocks) {
  // The number of elements of a matrix is not a multiple of 48, so the last NF4 block is short.
  const ModelFiles files = model_files(golden_dir() / "tiny_nf4");
  const Checkpoint file = Checkpoint::open(files.weights);
  std::vector<std::string> warnings;
  std::vector<StoredWeight> weights;
  std::int64_t n_blocks = 0;
  for (const FoundWeight& found :
       find_weights(load_spec(files, warnings), file, "model", warnings)) {
    weights.push_back(stored_weight(found));
    WeightDesc& desc = weights.back().desc;
    if (desc.format != WeightFormat::codebook) continue;
    desc.group_size = 48;
    n_blocks += (desc.elements() + 47) / 48;
  }
  fs::copy_file(files.folder / "config.json", path("base/config.json"));
  StoredWeightWriter writer(path("base/model.safetensors"), weights, {}, {});
  LoadedWeight zeros;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    lay_out(weights[i].desc, zeros);
    writer.write(i, weights[i].desc, zeros.parts);
  }
  writer.commit();
  EXPECT_EQ(run_json({"inspect", base(), "--json"})["scales"]["F32"]["groups"], n_blocks);
}

TEST_F(RewriteCli, MessagesNameTheArgumentOrTensor) {
  copy_base("tiny_window");
  const Finished missing = run({"quantize", path("nope"), "--format", "nf4"});
  EXPECT_EQ(missing.status, 1);
  EXPECT_EQ(missing.err.find("--model"), std::string::npos) << missing.err;
  EXPECT_NE(missing.err.find("MODEL " + path("nope")), std::string::npos) << missing.err;
  expect_failure(
      {"merge", base(), "-a", path("missing"), "-o", path("out"), "--group-size", "7", "--quiet"},
      2, {"--group-size"});
  expect_failure({"quantize", (golden_dir() / "tiny_nf4").string(), "--format", "mlx", "-o",
                  path("out"), "--quiet"},
                 1, {"tiny_nf4: tensor ", "quantized already"});
  StoredModel stray = stored_model("tiny_window");
  stray.tensors["input_proj.scales"] = {{2}, {1, 2}};
  write_model(base(), stray);
  expect_failure(quantize({"--quiet"}), 1,
                 {"model.safetensors: tensor \"input_proj.scales\"", "\"input_proj.weight\""});
}

TEST_F(RewriteCli, RefusesNumbersThatBecomeInfinite) {
  copy_base("tiny_mixed");
  const std::string large = write_adapter(read_config(base()), 1e3F);
  expect_failure(
      {"merge", base(), "-a", large, "-o", path("out"), "--quiet", "--lora-scale", "3e38"}, 1,
      {"\"layer_0.ssm.out_proj.weight\"", "F32", "at element 0"});
  // The bundled model is F16.
  const ModelFiles bundled = model_files(bundled_model_dir());
  write_adapter(read_config(bundled.folder), 1e2F);
  expect_failure({"merge", bundled_model_dir().string(), "-a", large, "-o", path("out"), "--quiet"},
                 1, {"\"layer_0.ssm.out_proj.weight\"", "F16"});
}

// ---- errors and interruptions

TEST_F(RewriteCli, ABrokenTokenizerLinkIsAnError) {
  copy_base("tiny_window");
  fs::create_symlink("nowhere", path("base/tokenizer.model"));
  expect_both_fail({"tokenizer.model: a symbolic link that leads nowhere"});
  fs::remove(path("base/tokenizer.model"));
  fs::create_symlink("nowhere", path("base/tokenizer"));
  expect_both_fail({"base/tokenizer: a symbolic link that leads nowhere"});
}

TEST_F(RewriteCli, SurvivesTheRemovalOfTheSourceWhileWriting) {
  copy_base("tiny_window");
  const ModelFiles files = model_files(base());
  const Checkpoint checkpoint = Checkpoint::open(files.weights);
  std::vector<std::string> warnings;
  std::string text;
  const ModelSpec spec = load_spec(files, warnings, &text);
  std::vector<WeightEdit> edits;
  for (const FoundWeight& found : find_weights(spec, checkpoint, "base", warnings))
    edits.push_back({.from = found, .to = found.loaded(), .how = {}, .change = {}});
  const std::atomic<bool> interrupted = false;
  bitaxon::write_model(
      {files, checkpoint, spec, text, edits}, path("out"),
      [&](std::uint64_t, std::uint64_t) { fs::remove_all(base()); }, interrupted);
  EXPECT_EQ(read_file(path("out/tokenizer.json")), "{}");
  const Checkpoint written = Checkpoint::open(path("out"));
  for (const TensorInfo& tensor : checkpoint.tensors())
    EXPECT_EQ(bytes_of(written, tensor.name), bytes_of(checkpoint, tensor.name)) << tensor.name;
  EXPECT_FALSE(fs::exists(base()));
  // If the source is removed before the command starts, the command fails.
  fs::remove_all(path("out"));
  expect_error(
      [&] {
        bitaxon::write_model({files, checkpoint, spec, text, edits}, path("out"), {}, interrupted);
      },
      ErrorKind::io, {base(), "cannot list the folder"});
  EXPECT_FALSE(fs::exists(path("out")));
  EXPECT_EQ(temporary(), "");
}

TEST_F(RewriteCli, AFullDiskLeavesNoFiles) {
  copy_base("tiny_window");
  Surroundings full;
  full.most_file_bytes = 100'000;
  expect_both_fail({"model.safetensors: cannot write: File too large"}, full);
}

TEST_F(RewriteCli, RefusesBadOutputsBeforeWork) {
  copy_base("tiny_window");
  fs::create_directories(path("cwd/zz"));
  Surroundings there;
  there.folder = path("cwd");
  for (const char* output : {".", "zz/.", "zz/..", "zz/../"}) {
    Arguments arguments = quantize({"--quiet"});
    arguments[5] = output;
    expect_failure(arguments, 1, {"ends in . or .."}, there);
  }
  Arguments elsewhere = quantize({"--quiet"});
  elsewhere[5] = "/proc/none/a/b";
  expect_failure(elsewhere, 1, {"/proc/none/a: cannot make the folder: "});
  Arguments replaced = quantize({"--quiet"});
  replaced[5] = "zz/";
  EXPECT_EQ(run(replaced, "", there).status, 0);
  EXPECT_TRUE(fs::exists(path("cwd/zz/config.json")));
}

TEST_F(RewriteCli, RefusesAMountPointAsOutput) {
  std::error_code error;
  for (const char* mount : {"/dev/shm", "/dev/mqueue", "/run/lock"}) {
    if (!fs::is_empty(mount, error) || error) continue;
    std::ifstream table("/proc/self/mounts");
    std::string device, place, rest;
    bool is_mounted = false;
    while (table >> device >> place && std::getline(table, rest)) is_mounted |= place == mount;
    if (!is_mounted) continue;
    copy_base("tiny_window");
    Arguments arguments = quantize({"--quiet"});
    arguments[5] = mount;
    return expect_failure(arguments, 1, {"a mount point"});
  }
  GTEST_SKIP() << "no empty folder is a mount point here";
}

TEST_F(RewriteCli, AReadOnlyFolderLeavesNoFiles) {
  Surroundings surroundings;
  surroundings.root_obeys_permissions = true;
  copy_base("tiny_window");
  write_adapter();
  fs::permissions(folder_.path(), fs::perms::owner_read | fs::perms::owner_exec);
  expect_failure(quantize({"--quiet"}), 1, {"Permission denied"}, surroundings);
  fs::permissions(folder_.path(), fs::perms::owner_all);
}

TEST_F(RewriteCli, RemovesItsFilesOnHangUp) {
  Program program({"quantize", bundled_model_dir().string(), "--format", "nf4", "-o", path("out")});
  ASSERT_TRUE(program.wait_until_it_catches(SIGHUP));
  program.send_signal(SIGHUP);
  const Finished finished = program.finish();
  EXPECT_EQ(finished.signal, 0) << finished.describe();
  EXPECT_EQ(temporary(), "");
  EXPECT_EQ(fs::exists(path("out")), finished.status == 0) << finished.describe();
}

TEST_F(RewriteCli, AKilledRunLeavesNoIncompleteModel) {
  copy_model(bundled_model_dir(), base());
  for (const Arguments& command : {quantize({"--quiet"}), merge({"--quiet"})}) {
    fs::remove_all(path("out"));
    {
      Program program(command);
      // Sends the signal when the unfinished folder exists. A run that ends before that must have
      // written everything.
      program.wait_until([&] { return !temporary().empty(); });
      program.send_signal(SIGKILL);
      program.finish();
    }
    if (fs::exists(path("out"))) run_json({"inspect", path("out"), "--check", "--json"});
    fs::remove_all(path("out"));
    run_well(command);
    EXPECT_EQ(temporary(), "");
  }
}

TEST_F(RewriteCli, RemovesOnlyAbandonedFolders) {
  fs::create_directory(path("out.0123abcd.tmp"));
  write_file(path("out.0123abcd.tmp/model.safetensors.tmp"), "half");
  for (const char* not_ours : {"out.0123abc.tmp", "out.0123abcX.tmp", "another.0123abcd.tmp"})
    fs::create_directory(path(not_ours));
  AtomicFolder first(path("out"));
  EXPECT_FALSE(fs::exists(path("out.0123abcd.tmp")));
  const AtomicFolder second(path("out"));
  EXPECT_TRUE(fs::exists(first.temporary()));
  for (const char* not_ours : {"out.0123abc.tmp", "out.0123abcX.tmp", "another.0123abcd.tmp"})
    EXPECT_TRUE(fs::exists(path(not_ours)));
  first.commit();
  EXPECT_TRUE(fs::exists(path("out")));
}

}  // namespace
}  // namespace bitaxon::test
