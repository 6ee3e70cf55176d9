#include "pipeline/pipeline_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bitaxon/error.h"
#include "console.h"
#include "pipeline/made_up_data.h"
#include "pipeline/pipeline_folder.h"
#include "platform/file.h"
#include "platform/paths.h"
#include "platform/printable.h"
#include "session/model_source.h"
#include "session/random_model.h"
#include "training/run/run_folder.h"

namespace bitaxon::tool {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr std::string_view kStageNames[] = {"SFT",        "merge", "quantize",    "perplexity",
                                            "generation", "ORPO",  "final model", "upload"};

class StepList {
 public:
  StepList(const PipelineFlags& flags, const PipelineBase& base)
      : flags_(flags), base_(base), out_(flags.output) {}

  std::vector<Step> steps() {
    add_sft();
    add({.stage = 2,
         .name = "merged",
         .words = merge(first_model(), "sft", "merged"),
         .makes = out_ / "merged"});
    add({.stage = 3,
         .name = "quantized",
         .words = quantize("merged", "quantized"),
         .makes = out_ / "quantized"});
    add_perplexity(4, "perplexity", "quantized", "ppl");
    add_generation();
    add_training(6, "orpo", orpo(inside("merged")));
    add({.stage = 7,
         .name = "aligned",
         .words = merge(inside("merged"), "orpo", "aligned"),
         .makes = out_ / "aligned"});
    add({.stage = 7,
         .name = "final",
         .words = quantize("aligned", "final"),
         .makes = out_ / "final"});
    add_perplexity(7, "final-perplexity", "final", "final_ppl");
    if (!flags_.repository.empty()) add_upload();
    return std::move(steps_);
  }

 private:
  void add(Step step) { steps_.push_back(std::move(step)); }
  std::string inside(const std::string& name) const { return (out_ / name).string(); }
  bool is_new() const { return base_.model.empty(); }
  std::string first_model() const { return is_new() ? inside("base") : base_.model; }

  // ---- flags that several commands take

  void add_model(Words& words, const std::string& flag, const std::string& model) const {
    words.push_back(flag + "=" + model);
    // A new model has its tokenizer in its folder.
    if (!is_new() && !flags_.model.tokenizer.empty())
      words.push_back("--tokenizer=" + flags_.model.tokenizer);
  }
  void add_device(Words& words) const {
    words.push_back("--device=" + flags_.device.device);
    for (const auto& [flag, value] : {std::pair("--precision=", &flags_.device.precision),
                                      {"--threads=", &flags_.device.threads},
                                      {"--shader-dir=", &flags_.device.shader_dir},
                                      {"--tiles=", &flags_.device.tiles}})
      if (!value->empty()) words.push_back(flag + *value);
  }
  void add_output(Words& words) const {
    words.emplace_back("--json");
    if (flags_.say.quiet) words.emplace_back("--quiet");
    if (flags_.say.verbose) words.emplace_back("--verbose");
  }

  // ---- commands

  Words merge(const std::string& model, const std::string& run, const std::string& output) const {
    // The next stages train or quantize the merged model, so nothing is lost to codes here.
    Words words = {"merge", "--base-model=" + model,
                   "--adapter=" + inside(run + "/final_adapter.safetensors"), "--no-re-quantize",
                   "--output=" + inside(output)};
    add_output(words);
    return words;
  }
  Words quantize(const std::string& model, const std::string& output) const {
    Words words = {"quantize", "--output=" + inside(output)};
    add_output(words);
    words.insert(words.end(), {"--", inside(model)});
    return words;
  }
  Words train(const std::string& name, const std::string& model, const std::string& steps) const {
    const std::int64_t n_steps = parse_integer("--max-steps", steps, 1, INT64_MAX);
    constexpr std::int64_t kMostWarmup = 100, kWarmupShare = 10;
    Words words = {"train"};
    add_model(words, "--model-weights", model);
    words.insert(words.end(),
                 {"--output-dir=" + inside(name), "--max-steps=" + steps,
                  fmt::format("--warmup-steps={}", std::min(n_steps / kWarmupShare, kMostWarmup)),
                  "--grad-accum-steps=1", "--max-seq-len=" + flags_.max_seq_len,
                  "--batch-size=" + flags_.batch_size, "--lora-rank=" + flags_.lora_rank,
                  "--learning-rate=" + flags_.learning_rate, "--seed=" + flags_.seed});
    if (flags_.no_thermal) words.emplace_back("--no-thermal");
    if (!checkpoint_steps(out_ / name).empty()) words.push_back("--resume=" + inside(name));
    add_device(words);
    add_output(words);
    words.insert(words.end(), {"--", inside("data/" + name + ".jsonl")});
    return words;
  }

  Words orpo(const std::string& model) const {
    Words words = train("orpo", model, flags_.orpo_steps);
    words.insert(words.begin() + 1, "--objective=orpo");
    return words;
  }

  // ---- stages

  void add_sft() {
    // Both kinds of examples are checked before the first training. They come first, because most
    // mistakes are in their names.
    add_data("sft", flags_.sft, "messages", made_up_texts);
    add_data("orpo", flags_.orpo, "orpo", made_up_pairs);
    if (is_new()) add_base();
    Words check = orpo(first_model());
    check.insert(check.begin() + 1, "--dry-run");
    add({.stage = 1, .name = "orpo-check", .words = std::move(check)});
    add_training(1, "sft", train("sft", first_model(), flags_.max_steps));
  }

  void add_base() {
    const std::string preset = flags_.model.config_medium ? "medium" : "small";
    RandomModel model{.preset = preset, .seed = parse_seed("--seed", flags_.seed)};
    const std::string tokenizer = flags_.model.tokenizer;
    add({.stage = 1,
         .name = "base",
         .what = fmt::format("writes random weights of the {} preset to {}", preset,
                             printable_path(inside("base"))),
         .work =
             [=, quiet = flags_.say.quiet,
              output = out_ / "base"](const std::atomic<bool>& interrupted) mutable {
               if (!tokenizer.empty())
                 model.tokenizer = find_tokenizer_path(expand_user(tokenizer), "--tokenizer");
               ProgressLine progress("writing", !quiet);
               return write_random_model(
                   model, output,
                   [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); },
                   interrupted);
             },
         .makes = out_ / "base"});
  }

  void add_data(const std::string& name, const DataFlags& data, const std::string& form,
                std::string (*make_up)(std::int64_t, std::uint64_t)) {
    const fs::path file = out_ / "data" / (name + ".jsonl");
    Step step{.stage = 1, .name = name + "-data"};
    if (data.data.empty()) {
      step.what =
          fmt::format("writes 50 examples of random letters to {}: --{}-data names real ones",
                      printable_path(file.string()), name);
      const std::int64_t n_letters =
          parse_integer("--max-seq-len", flags_.max_seq_len, 2, INT32_MAX);
      step.work = [=, seed = parse_seed("--seed", flags_.seed)](const std::atomic<bool>&) {
        write_text_file(file, make_up(n_letters, seed));
        return true;
      };
      return add(std::move(step));
    }
    step.words = {"prepare", "--format=" + form, "--split=" + data.split,
                  "--output=" + file.string()};
    if (!data.limit.empty()) step.words.push_back("--limit=" + data.limit);
    add_output(step.words);
    step.words.insert(step.words.end(), {"--", data.data});
    step.metrics = [name](const Json& report) {
      return Json{{name + "_examples", report.at("written")},
                  {name + "_refused", report.at("refused")}};
    };
    add(std::move(step));
  }

  void add_training(int stage, const std::string& name, Words words) {
    add({.stage = stage,
         .name = name,
         .words = std::move(words),
         .metrics = [name](const Json& report) {
           Json metrics = Json::object();
           metrics[name + "_loss"] = report.at("loss");
           return metrics;
         }});
  }

  void add_perplexity(int stage, const std::string& name, const std::string& model,
                      const std::string& metric) {
    const std::int64_t length = parse_integer("--max-seq-len", flags_.max_seq_len, 2, INT32_MAX);
    constexpr std::int64_t kWindows = 8, kFewestTokens = 1024;
    Words words = {"evaluate"};
    add_model(words, "--model", inside(model));
    words.insert(words.end(),
                 {fmt::format("--seq-length={}", length), fmt::format("--batch-size={}", kWindows),
                  fmt::format("--max-tokens={}", std::max(kWindows * length, kFewestTokens))});
    if (!flags_.text.empty()) words.push_back("--text=" + flags_.text);
    add_device(words);
    add_output(words);
    add({.stage = stage,
         .name = name,
         .words = std::move(words),
         .metrics = [metric](const Json& report) {
           Json metrics = Json::object();
           metrics[metric] = report.at("perplexity");
           return metrics;
         }});
  }

  void add_generation() {
    Words words = {"run"};
    add_model(words, "--model", inside("quantized"));
    words.insert(words.end(),
                 {"--prompt=" + flags_.prompt, "--chat-template=none", "--max-tokens=20",
                  "--ignore-eos", "--temperature=0.8", "--seed=" + flags_.seed});
    add_device(words);
    add_output(words);
    add({.stage = 5,
         .name = "generation",
         .words = std::move(words),
         .metrics = [](const Json& report) {
           return Json{{"tok_s", report.at("tokens_per_sec")}, {"text", report.at("text")}};
         }});
  }

  void add_upload() {
    Words words = {"upload", "--repo-id=" + flags_.repository};
    if (!base_.repository.empty()) words.push_back("--base-model=" + base_.repository);
    if (!is_new() && !flags_.model.tokenizer.empty())
      words.push_back("--tokenizer=" + flags_.model.tokenizer);
    add_output(words);
    words.insert(words.end(), {"--", inside("final")});
    add({.stage = 8,
         .name = "upload " + flags_.repository,
         .words = std::move(words),
         .metrics = [](const Json& report) {
           Json metrics = Json::object();
           metrics["url"] = report.at("url");
           return metrics;
         }});
  }

  const PipelineFlags& flags_;
  const PipelineBase& base_;
  fs::path out_;
  std::vector<Step> steps_;
};

}  // namespace

std::string_view stage_name(int stage) { return kStageNames[stage - 1]; }

std::vector<Step> pipeline_steps(const PipelineFlags& flags, const PipelineBase& base) {
  return StepList(flags, base).steps();
}

Json pipeline_artifacts(const PipelineFlags& flags, const PipelineBase& base) {
  const fs::path out(flags.output);
  const auto path = [](const fs::path& file) { return printable_path(file.string()); };
  return {
      {"base_weights", path(base.model.empty() ? out / "base/model.safetensors" : base.weights)},
      {"sft_adapter", path(out / "sft/final_adapter.safetensors")},
      {"merged_model", path(out / "merged")},
      {"quantized_model", path(out / "quantized")},
      {"orpo_adapter", path(out / "orpo/final_adapter.safetensors")},
      {"final_model", path(out / "final")}};
}

}  // namespace bitaxon::tool
