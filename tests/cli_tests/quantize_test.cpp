// Runs the program: `quantize`, `merge`, and quantizing while a model is loaded.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "format_tests/stored_tensor.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "model/weights.h"
#include "model_folder.h"
#include "platform/file.h"
#include "program.h"
#include "support/small_models.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

const std::string kIds = "72,101,108,108,111,32,119,111,114,108,100";

std::string bundled() { return (source_tree() / "models" / "tiny-shakespeare").string(); }

std::string contents(const fs::path& file) { return read_whole_file(file, std::uint64_t{1} << 30); }

class QuantizeCli : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  /// Runs `bit-axon logits` and returns the bytes of the tensor that it writes.
  std::string logits(const std::string& model, const Arguments& more = {}) {
    const std::string out = path(fmt::format("logits_{}.safetensors", n_logits_++));
    run_well(Arguments{"logits", "-m", model, "--ids", kIds, "--out", out, "--quiet"} + more);
    return contents(out);
  }
  std::vector<float> logit_numbers(const std::string& model, const Arguments& more = {}) {
    logits(model, more);
    return floats_of(Checkpoint::open(path(fmt::format("logits_{}.safetensors", n_logits_ - 1))),
                     "logits");
  }

  TemporaryFolder folder_;
  int n_logits_ = 0;
};

struct Form {
  const char* name;
  Arguments flags;
};
const std::vector<Form> kForms = {
    {"mlx", {"--format", "mlx"}},
    {"mlx 32", {"--format", "mlx", "--group-size", "32"}},
    {"mlx 8", {"--format", "mlx", "--bits", "8"}},
    {"nf4", {"--format", "nf4"}},
    {"nf4 double", {"--format", "nf4", "--double-quant"}},
};

TEST_F(QuantizeCli, WritesAModelThatRuns) {
  for (const Form& form : kForms) {
    SCOPED_TRACE(form.name);
    const std::string out = path(form.name);
    const Json report =
        run_json(Arguments{"quantize", bundled(), "-o", out, "--json"} + form.flags);
    run_json({"inspect", out, "--json", "--tensors"});
    EXPECT_LT(report["total"]["bytes_after"], report["total"]["bytes_before"]);
    const bool eight = std::string(form.name) == "mlx 8";
    EXPECT_GT(report["parts"]["experts"]["relative_error"], eight ? 1e-3 : 0.01);
    EXPECT_LT(report["parts"]["experts"]["relative_error"], 0.15);
    EXPECT_EQ(report["parts"]["embedding"]["relative_error"], 0.0);
    EXPECT_EQ(contents(out + "/tokenizer.json"), contents(bundled() + "/tokenizer.json"));
    const Finished said = run_well(
        {"run", "-m", out, "--temperature", "0", "--max-tokens", "8", "--device", "cpu", "ROMEO:"});
    EXPECT_FALSE(said.out.empty());
    EXPECT_EQ(said.err.find("warning"), std::string::npos) << said.err;
  }
}

TEST_F(QuantizeCli, TensorsAreAlignedToTheSizeOfTheirElements) {
  for (const Form& form : kForms) {
    const std::string out = path(form.name);
    run_well(Arguments{"quantize", bundled(), "-o", out, "--quiet"} + form.flags);
    const Checkpoint file = Checkpoint::open(out);
    for (const TensorInfo& tensor : file.tensors())
      EXPECT_EQ(8 * tensor.offset_bytes % tensor.dtype.bits(), 0U) << tensor.name;
  }
}

TEST_F(QuantizeCli, QuantizingWhileLoadingGivesTheSameBits) {
  for (const char* format : {"mlx", "nf4"}) {
    SCOPED_TRACE(format);
    const std::string out = path(format);
    run_well({"quantize", bundled(), "--format", format, "-o", out, "--quiet"});
    for (const char* device : {"cpu", "reference"})
      EXPECT_EQ(logits(out, {"--device", device}),
                logits(bundled(), {"--device", device, "--quantize", format}));
  }
}

/// Copies a model. All its matrices are decoded to floats.
void write_decoded(const fs::path& from, const fs::path& to) {
  const Checkpoint checkpoint = Checkpoint::open(from);
  std::vector<std::string> warnings;
  StoredModel model{read_config(from), {}, {}};
  LoadedWeight loaded;
  for (const FoundWeight& weight :
       find_weights(model.config.spec(), checkpoint, "model", warnings)) {
    read_weight(checkpoint, weight.source, loaded);
    NamedTensor& tensor = model.tensors[weight.slot.name()];
    tensor.shape = weight.slot.shape;
    tensor.values.resize(static_cast<std::size_t>(weight.slot.shape.elements()));
    decode(weight.source.desc, loaded.parts, 0, tensor.values);
  }
  fs::create_directories(to);
  write_model(to, model);
}

TEST_F(QuantizeCli, LogitsEqualThoseOfTheDequantizedWeights) {
  for (const Form& form : kForms) {
    if (std::string(form.name) == "mlx 32") continue;
    SCOPED_TRACE(form.name);
    const std::string out = path(form.name);
    run_well(Arguments{"quantize", golden_model("tiny_window").string(), "-o", out, "--quiet"} +
             form.flags);
    write_decoded(out, path("decoded " + std::string(form.name)));
    const auto expected =
        logit_numbers(path("decoded " + std::string(form.name)), {"--device", "reference"});
    const auto actual = logit_numbers(out, {"--device", "reference"});
    double error = 0, norm = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      error += std::pow(double{actual[i]} - double{expected[i]}, 2);
      norm += std::pow(double{expected[i]}, 2);
    }
    EXPECT_LE(std::sqrt(error / norm), 1e-5);
  }
}

TEST_F(QuantizeCli, RefusalsLeaveNoFiles) {
  run_well({"quantize", bundled(), "--format", "nf4", "-o", path("q"), "--quiet"});
  fs::create_directory(path("full"));
  std::ofstream(path("full/note.txt")) << "mine";
  struct Case {
    Arguments arguments;
    int status;
    const char* mentioned;
  };
  const std::string model = bundled();
  for (const Case& bad : std::vector<Case>{
           {{path("q"), "--format", "mlx", "-o", path("out")}, 1, "quantized already"},
           {{model, "--format", "mlx", "-o", model}, 2, "another folder"},
           {{model, "--format", "mlx", "-o", path("full")}, 1, "new or empty"},
           {{model, "--format", "q5", "-o", path("out")}, 2, "nf4 or mlx"},
           {{model, "--format", "mlx", "--group-size", "48", "-o", path("out")},
            2,
            "32, 64 or 128"},
           {{model, "--format", "mlx", "--bits", "6", "-o", path("out")},
            2,
            "--bits: expected 4 or 8, got \"6\""},
           {{model, "--format", "nf4", "--bits", "8", "-o", path("out")},
            2,
            "--bits: expected 4 for --format nf4, got 8"},
           {{model, "--format", "mlx", "--double-quant", "-o", path("out")}, 2, "--double-quant"},
           {{path("missing"), "--format", "mlx", "-o", path("out")}, 1, "missing"},
           {{"--format", "mlx"}, 2, "MODEL"},
       }) {
    const Finished finished = run(Arguments{"quantize"} + bad.arguments);
    EXPECT_EQ(finished.status, bad.status) << finished.describe();
    EXPECT_NE(finished.err.find(bad.mentioned), std::string::npos) << finished.describe();
    EXPECT_EQ(finished.err_lines().size(), 1U) << finished.describe();
    EXPECT_FALSE(fs::exists(path("out")));
  }
  EXPECT_EQ(contents(path("full/note.txt")), "mine");
  for (const auto& entry : fs::directory_iterator(folder_.path()))
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
  for (const char* command : {"run", "logits", "compare", "evaluate"}) {
    Arguments arguments = {command, "-m", path("q"), "--quantize", "mlx"};
    if (std::string(command) == "logits")
      arguments = arguments + Arguments{"--ids", "1", "--out", path("l.safetensors")};
    const Finished finished = run(arguments, "a");
    EXPECT_EQ(finished.status, 1) << finished.describe();
    EXPECT_NE(finished.err.find("quantized already"), std::string::npos) << finished.describe();
    arguments[4] = "q5";
    EXPECT_EQ(run(arguments, "a").status, 2);
  }
}

TEST_F(QuantizeCli, TheDefaultOutputIsInTheModelsFolder) {
  copy_model(golden_dir() / "tiny_window", path("m"));
  run_well({"quantize", path("m"), "--format", "mlx", "--quiet"});
  EXPECT_TRUE(fs::exists(path("m/q4/model.safetensors")));
  run_well({"quantize", path("m"), "--bits", "8", "--quiet"});
  EXPECT_TRUE(fs::exists(path("m/q8/model.safetensors")));
  // The model is named by its file. The output still goes into the folder of the model.
  run_well(
      {"quantize", path("m/model.safetensors"), "--format", "nf4", "--quiet", "-o", path("f")});
  EXPECT_TRUE(fs::exists(path("f/config.json")));
}

// ---- models of other families: what mlx-lm and transformers need to load them

class QuantizePublished : public QuantizeCli {
 protected:
  /// Quantizes a recorded model of floats whose embedding is also the head. Returns config.json.
  Json quantize(const Arguments& flags) {
    fs::remove_all(path("q"));
    run_well(Arguments{"quantize", model_, "-o", path("q"), "--quiet"} + flags);
    return Json::parse(contents(path("q/config.json")));
  }

  const std::string model_ =
      (source_tree() / "tests/golden/families/mlx_mamba_f16/model.safetensors").string();
};

TEST_F(QuantizePublished, MlxHasCodesInTheEmbeddingAndDescribesThem) {
  for (const int bits : {4, 8}) {
    const Json config = quantize({"--bits", std::to_string(bits), "-g", "32"});
    EXPECT_EQ(config["quantization"],
              Json({{"group_size", 32}, {"bits", bits}, {"mode", "affine"}}));
    EXPECT_EQ(config["quantization_config"], config["quantization"]);
    const Checkpoint file = Checkpoint::open(path("q"));
    EXPECT_EQ(describe(*file.find("backbone.embeddings.weight")),
              fmt::format("U32 [131, {}]", 2 * bits));
    EXPECT_NE(file.find("backbone.embeddings.biases"), nullptr);
    EXPECT_EQ(file.find("lm_head.weight"), nullptr);
    EXPECT_EQ(file.find("backbone.layers.0.mixer.dt_proj.scales"), nullptr);  // 4 columns
    logits(path("q"), {"--device", "reference"});
  }
  quantize({});
  EXPECT_EQ(logits(path("q"), {"--device", "cpu"}),
            logits(model_, {"--device", "cpu", "--quantize", "mlx"}));
}

TEST_F(QuantizePublished, BitsandbytesNamesTheLayersWithoutCodes) {
  const Json block = quantize({"--format", "nf4"})["quantization_config"];
  EXPECT_EQ(block["quant_method"], "bitsandbytes");
  EXPECT_EQ(block["load_in_4bit"], true);
  EXPECT_EQ(block["bnb_4bit_quant_type"], "nf4");
  EXPECT_EQ(block["bnb_4bit_use_double_quant"], false);
  EXPECT_EQ(block["bnb_4bit_compute_dtype"], "float16");
  EXPECT_EQ(block["llm_int8_skip_modules"],
            Json({"lm_head", "backbone.embeddings", "backbone.layers.0.mixer.dt_proj",
                  "backbone.layers.1.mixer.dt_proj"}));
  EXPECT_EQ(describe(*Checkpoint::open(path("q")).find("backbone.embeddings.weight")),
            "F16 [131, 64]");
  logits(path("q"), {"--device", "reference"});
  EXPECT_EQ(quantize({"--format", "nf4",
                      "--double-quant"})["quantization_config"]["bnb_4bit_use_double_quant"],
            true);
}

// ---- merge

class MergeCli : public QuantizeCli {
 protected:
  /// Writes an adapter for two layers of the bundled model. The product of its matrices is about as
  /// large as the weights that it changes.
  std::string write_adapter(bool dora) {
    const BitAxonConfig config = bundled_config();
    std::map<std::string, NamedTensor> tensors;
    const auto add = [&](const std::string& path, std::int64_t n_in, std::int64_t n_out) {
      tensors[path + ".lora_a"] = numbers({n_in, 4}, 0.03F);
      tensors[path + ".lora_b"] = numbers({4, n_out}, 0.03F);
      if (dora) tensors[path + ".m"] = numbers({n_out}, 1.0F);
    };
    add("layer_0.ssm.in_proj", config.hidden_dim, 2 * config.d_inner());
    add("layer_2.attention.q_proj", config.hidden_dim, config.hidden_dim);
    const std::string file = path(dora ? "dora.safetensors" : "lora.safetensors");
    write_tensors(file, tensors);
    return file;
  }
  static BitAxonConfig bundled_config() { return read_config(bundled()); }
  NamedTensor numbers(Shape shape, float size) {
    NamedTensor tensor{shape, {}};
    for (std::int64_t i = 0; i < shape.elements(); ++i)
      tensor.values.push_back(size * std::sin(static_cast<float>(++n_numbers_)));
    return tensor;
  }
  int n_numbers_ = 0;
};

TEST_F(MergeCli, ChangesOnlyTheAdaptedWeights) {
  for (const bool dora : {false, true}) {
    const std::string out = path(dora ? "dora" : "lora");
    run_well({"merge", bundled(), "--adapter", write_adapter(dora), "-o", out, "--quiet"});
    const Checkpoint before = Checkpoint::open(bundled());
    const Checkpoint after = Checkpoint::open(out);
    ASSERT_EQ(before.tensors().size(), after.tensors().size());
    for (const TensorInfo& tensor : before.tensors()) {
      const bool adapted = tensor.name == "layer_0.ssm.in_proj.weight" ||
                           tensor.name == "layer_2.attention.q_proj.weight";
      EXPECT_EQ(bytes_of(before, tensor.name) == bytes_of(after, tensor.name), !adapted)
          << tensor.name;
      EXPECT_EQ(after.find(tensor.name)->dtype, tensor.dtype);
    }
  }
}

TEST_F(MergeCli, QuantizesAgainUnlessToldNotTo) {
  const std::string adapter = write_adapter(false);
  for (const char* format : {"mlx", "nf4"}) {
    const std::string base = path(format);
    run_well({"quantize", bundled(), "--format", format, "-o", base, "--quiet"});
    const std::string out = base + "-merged", floats = base + "-floats";
    run_well({"merge", "--base-model", base, "-a", adapter, "-o", out, "--quiet"});
    run_well({"merge", base, "-a", adapter, "-o", floats, "--no-re-quantize", "--quiet"});
    const Json of_base = run_json({"inspect", base, "--json"});
    EXPECT_EQ(run_json({"inspect", out, "--json"})["bits_per_weight"], of_base["bits_per_weight"]);
    EXPECT_GE(run_json({"inspect", floats, "--json"})["bits_per_weight"], 16.0);
    EXPECT_NE(logits(out), logits(base));
    EXPECT_NE(logits(floats), logits(base));
  }
}

/// One documented command line passes --bits and --group-size for a model that is not quantized.
TEST_F(MergeCli, WarnsWhenBitsAndGroupSizeChangeNothing) {
  const std::string adapter = write_adapter(false);
  const std::string said = "nothing is quantized again: --bits and --group-size change nothing";
  const auto warns = [&](const std::string& base, const Arguments& more) {
    fs::remove_all(path("out"));
    return run_well(Arguments{"merge", base, "-a", adapter, "-o", path("out")} + more)
               .err.find(said) != std::string::npos;
  };
  EXPECT_FALSE(warns(bundled(), {}));
  EXPECT_TRUE(warns(bundled(), {"-b", "4"}));
  EXPECT_TRUE(warns(bundled(), {"-g", "64"}));
  run_well({"quantize", bundled(), "-o", path("q4"), "--quiet"});
  EXPECT_FALSE(warns(path("q4"), {"-b", "4", "-g", "64"}));
  EXPECT_TRUE(warns(path("q4"), {"-b", "4", "--no-re-quantize"}));
}

TEST_F(MergeCli, RefusesBadFlagsAndAdapters) {
  const std::string adapter = write_adapter(false);
  struct Case {
    Arguments arguments;
    int status;
    const char* mentioned;
  };
  for (const Case& bad : std::vector<Case>{
           {{bundled(), "-o", path("out")}, 2, "--adapter"},
           {{"-a", adapter, "-o", path("out")}, 2, "BASE"},
           {{bundled(), "--base-model", bundled(), "-a", adapter, "-o", path("out")}, 2, "both"},
           {{bundled(), "-a", path("missing"), "-o", path("out")}, 1, "missing"},
           {{bundled(), "-a", adapter, "-o", path("out"), "--lora-rank", "8"}, 2, "expected 4"},
           {{bundled(), "-a", adapter, "-o", path("out"), "-r", "8"}, 2, "expected 4"},
           {{bundled(), "-a", adapter, "-o", path("out"), "-b", "6"},
            2,
            "--bits: expected 4 or 8, got \"6\""},
           {{bundled(), "-a", adapter, "-o", path("out"), "-b", ""}, 2, "--bits"},
           {{bundled(), "-a", adapter, "-o", path("out"), "-g", "48"}, 2, "--group-size"},
           {{bundled(), "-a", adapter, "-o", path("out"), "--lora-scale", "nan"},
            2,
            "--lora-scale"},
           {{bundled(), "-a", bundled(), "-o", path("out")}, 1, "embed_tokens.weight"},
       }) {
    const Finished finished = run(Arguments{"merge"} + bad.arguments);
    EXPECT_EQ(finished.status, bad.status) << finished.describe();
    EXPECT_NE(finished.err.find(bad.mentioned), std::string::npos) << finished.describe();
    EXPECT_FALSE(fs::exists(path("out")));
  }
}

}  // namespace
}  // namespace bitaxon::test
