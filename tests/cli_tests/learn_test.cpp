// What `train` learns: adapters that answer as the merged model does, chats known by heart, and
// preferences.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "formats/safetensors.h"
#include "platform/file.h"
#include "program.h"
#include "support/small_models.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

class LearnCli : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string adapter_of(const std::string& run) const {
    return path(run + "/final_adapter.safetensors");
  }
  static Arguments train(const std::string& data, const std::string& output) {
    return {"train", data,           "--device", "cpu",         "--threads", "2",           "-o",
            output,  "--save-every", "1000",     "--log-every", "1",         "--no-thermal"};
  }
  /// The lines of metrics.jsonl that describe updates.
  std::vector<Json> updates_of(const std::string& run) const {
    std::vector<Json> found;
    std::ifstream in(path(run + "/metrics.jsonl"));
    for (std::string line; std::getline(in, line);)
      if (Json json = Json::parse(line); json.contains("loss")) found.push_back(std::move(json));
    return found;
  }

  TemporaryFolder folder_;
};

const std::vector<std::pair<const char*, const char*>> kChats = {
    {"Who are you?", "I am a small model."},
    {"What is the sky?", "The sky is blue today."},
    {"Count to four.", "One, two, three, four."},
    {"Name a king.", "King Richard the Second."},
    {"Is it late?", "No, it is morning."},
    {"Say goodbye.", "Farewell, my friend."},
    {"What do cats eat?", "Cats eat fish and mice."},
    {"Where is the sea?", "Beyond the hills."}};

std::string chat_lines() {
  std::string lines;
  for (const auto& [question, answer] : kChats)
    lines += Json{{"messages",
                   {{{"role", "user"}, {"content", question}},
                    {{"role", "assistant"}, {"content", answer}}}}}
                 .dump() +
             "\n";
  return lines;
}

TEST_F(LearnCli, AnAdapterAnswersAsTheMergedModelDoes) {
  const std::filesystem::path bundled = bundled_model_dir();
  std::filesystem::create_directory(path("base"));
  // Float32 weights, so that the merged model is not rounded.
  write_random_model(path("base"), read_file(bundled / "config.json"), 7);
  const std::string data = folder_.write("chats.jsonl", chat_lines()).string();
  for (const char* kind : {"lora", "dora"}) {
    const std::string run = fmt::format("{}_run", kind), merged = path(fmt::format("{}_out", kind));
    Arguments arguments =
        train(data, path(run)) +
        Arguments{"-w", path("base"), "-t",  bundled.string(), "--max-steps", "8", "--warmup-steps",
                  "1",  "-lr",        "1e-3"};
    if (kind == std::string_view("lora")) arguments.push_back("--no-dora");
    run_well(arguments);
    run_well({"merge", path("base"), "-a", adapter_of(run), "-o", merged, "--no-re-quantize"});
    const auto logits_of = [&](const Arguments& model, const std::string& name) {
      run_well(Arguments{"logits", "--ids", "5,6,700,8,9,10,300", "--device", "cpu", "--precision",
                         "exact", "--out", path(name)} +
               model);
      return read_f32(Checkpoint::open(path(name)), "logits");
    };
    const auto adapted =
        logits_of({"--model", path("base"), "--adapter", adapter_of(run)}, "adapted.safetensors");
    EXPECT_LE(relative_l2(adapted, logits_of({"--model", merged}, "merged.safetensors")), 1e-5)
        << kind;
    EXPECT_GT(relative_l2(adapted, logits_of({"--model", path("base")}, "base.safetensors")), 1e-2)
        << kind;
  }
}

TEST_F(LearnCli, KnowsEightChatsByHeartAndStopsExhaustive) {
  const std::string data = folder_.write("chats.jsonl", chat_lines()).string();
  run_well(train(data, path("run")) + Arguments{"--max-steps", "300", "--batch-size", "8",
                                                "--grad-accum-steps", "1", "--packing", "none",
                                                "--warmup-steps", "10", "-lr", "2e-3",
                                                "--lora-scale", "2", "--lora-rank", "16"});
  for (const auto& [question, answer] : kChats) {
    // Nothing follows the answer, so the end token ended it.
    const Finished finished =
        run_well({"run", "--chat", "--quiet", "--model", bundled_model_dir().string(), "--adapter",
                  adapter_of("run"), "--temperature", "0", "--max-tokens", "60", "--device", "cpu"},
                 std::string(question) + "\n");
    EXPECT_EQ(finished.out, std::string(answer) + "\n");
  }
}

TEST_F(LearnCli, PrefersWhatWasChosenExhaustive) {
  std::string lines;
  for (int i = 0; i < 16; ++i)
    lines += Json{{"prompt", fmt::format("Question {}?", i)},
                  {"chosen", fmt::format("The answer is {}.", i)},
                  {"rejected", fmt::format("I will not say {}!", 3 * i)}}
                 .dump() +
             "\n";
  run_well(train(folder_.write("pairs.jsonl", lines).string(), path("run")) +
           Arguments{"--objective", "orpo", "--max-steps", "100", "--batch-size", "4",
                     "--grad-accum-steps", "1", "--warmup-steps", "10", "-lr", "1e-3",
                     "--lora-scale", "2"});
  const std::vector<Json> updates = updates_of("run");
  ASSERT_GE(updates.size(), 100U);
  const Json &first = updates.front(), &last = updates.back();
  EXPECT_EQ(last["accuracy"], 1.0) << last;
  EXPECT_GT(last["margin"].get<double>(), first["margin"].get<double>() + 0.5) << last;
  EXPECT_LT(last["nll"].get<double>(), 0.5 * first["nll"].get<double>()) << last;
}

TEST_F(LearnCli, TakesNoMoreMemoryAfterAThousandUpdatesExhaustive) {
  std::string lines;
  for (int i = 0; i < 40; ++i) {
    std::string text;
    for (int word = 0; word < 4 + 5 * i; ++word) text += fmt::format("{} and ", i + word);
    lines += Json{{"text", text}}.dump() + "\n";
  }
  run_well(train(folder_.write("texts.jsonl", lines).string(), path("run")) +
           Arguments{"--max-steps", "1000", "--max-seq-len", "512", "--packing", "none",
                     "--grad-accum-steps", "1", "--lora-rank", "4"});
  const std::vector<Json> updates = updates_of("run");
  ASSERT_EQ(updates.size(), 1000U);
  const auto memory = [&](std::size_t step) {
    return updates[step - 1]["memory_bytes"].get<double>();
  };
  EXPECT_GT(memory(100), 0);
  EXPECT_LE(memory(1000), 1.02 * memory(100));
}

}  // namespace
}  // namespace bitaxon::test
