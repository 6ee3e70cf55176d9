// Tests of states and steps through the C interface: each call changes everything or nothing.
#include <algorithm>
#include <fstream>
#include <limits>

#include "bitaxon/model.h"
#include "c_tests/handles.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

std::vector<float> step(const StateHandle& state, const std::vector<std::int32_t>& ids,
                        std::int32_t which = BITAXON_LOGITS_LAST) {
  BufferHandle logits;
  expect_ok(bitaxon_step(state.p, ids.data(), ids.size(), which, logits.p));
  return logits.numbers<float>();
}

TEST(CState, StepsGiveTheLogitsOfTheLibrary) {
  const ModelHandle model = open_bundled();
  OpenModel expected =
      test::open_model("cpu", 1, bundled_model_dir(), {.precision = Precision::exact});
  const std::vector<std::int32_t> ids = random_ids(700, 1024, 1);
  State reference = expected.model.new_state();
  const std::vector<float> all = feed_all(expected.model, reference, std::span(ids));
  const StateHandle state = new_state(model);
  const std::vector<std::int32_t> first(ids.begin(), ids.begin() + 512);
  const std::vector<std::int32_t> rest(ids.begin() + 512, ids.end());
  std::vector<float> found = step(state, first, BITAXON_LOGITS_ALL);
  const std::vector<float> more = step(state, rest, BITAXON_LOGITS_ALL);
  found.insert(found.end(), more.begin(), more.end());
  EXPECT_TRUE(same_bits(found, all));
  EXPECT_EQ(position_of(state), 700);
  // A prompt longer than a step, with the logits of its last id.
  const StateHandle other = new_state(open_bundled());
  const std::vector<float> last = step(other, ids);
  EXPECT_TRUE(same_bits(last, std::span(all).last(1024)));
  EXPECT_EQ(snapshot_of(other), snapshot_of(state));
  EXPECT_TRUE(step(other, {1, 2}, BITAXON_LOGITS_NONE).empty());
}

TEST(CState, DrawsTokensAsGenerationDoes) {
  auto options = model_options();
  options.slots = 2;
  const ModelHandle model = open_bundled(options);
  const StateHandle a = new_state(model), b = new_state(model);
  const std::vector<std::int32_t> prompt = tokenize(model, "ROMEO:");
  auto sampler = initialized(bitaxon_sampler_init);
  sampler.seed = 9;
  auto generate = initialized(bitaxon_generate_options_init);
  generate.sampler = &sampler;
  generate.max_tokens = 6;
  generate.ignore_eos = 1;
  BufferHandle ids;
  expect_ok(
      bitaxon_generate(a.p, prompt.data(), prompt.size(), &generate, nullptr, ids.p, nullptr));
  std::vector<std::int32_t> drawn(1);
  expect_ok(bitaxon_step_token(b.p, prompt.data(), prompt.size(), &sampler, &drawn[0]));
  while (drawn.size() < 6) {
    std::int32_t token = -1;
    expect_ok(bitaxon_step_token(b.p, nullptr, 0, &sampler, &token));
    drawn.push_back(token);
  }
  EXPECT_EQ(drawn, ids.ids());
}

TEST(CState, RewindsResetsAndForks) {
  auto options = model_options();
  options.forks = 1;
  const ModelHandle model = open_bundled(options);
  const StateHandle state = new_state(model);
  step(state, {1, 2, 3});
  const std::string after_three = snapshot_of(state);
  step(state, {4});
  step(state, {5, 6});
  std::int32_t n_steps = 0;
  expect_ok(bitaxon_state_rewindable(state.p, &n_steps));
  EXPECT_EQ(n_steps, 2);
  expect_failure(bitaxon_state_rewind(state.p, 3), BITAXON_STATUS_INVALID_ARGUMENT, "rewind");
  EXPECT_EQ(position_of(state), 6);
  expect_ok(bitaxon_state_rewind(state.p, 2));
  EXPECT_EQ(snapshot_of(state), after_three);
  StateHandle fork;
  expect_ok(bitaxon_state_fork(state.p, &fork.p));
  const std::vector<float> here = step(state, {7}), there = step(fork, {7});
  EXPECT_TRUE(same_bits(here, there));
  step(fork, {8});
  expect_ok(bitaxon_state_reset(state.p));
  EXPECT_EQ(position_of(state), 0);
  EXPECT_EQ(position_of(fork), 5);
}

TEST(CState, EverySlotIsGivenAndGivenBack) {
  auto options = model_options();
  options.slots = 2;
  options.forks = 1;
  const ModelHandle model = open_small(options);
  for (int round = 0; round < 3; ++round) {
    const StateHandle a = new_state(model), b = new_state(model);
    StateHandle c, d;
    expect_ok(bitaxon_state_fork(a.p, &c.p));
    expect_failure(bitaxon_state_new(model.p, &d.p), BITAXON_STATUS_INVALID_ARGUMENT, "3 slots");
    expect_failure(bitaxon_state_fork(a.p, &d.p), BITAXON_STATUS_INVALID_ARGUMENT, "3 slots");
    EXPECT_EQ(d.p, nullptr);
    // With all states in use, every call that works on a copy still has its slot.
    const std::string bytes = snapshot_of(a);
    expect_ok(bitaxon_state_restore(c.p, bytes.data(), bytes.size()));
    const std::int32_t id = 65;
    auto generate = initialized(bitaxon_generate_options_init);
    generate.max_tokens = 2;
    expect_ok(bitaxon_generate(c.p, &id, 1, &generate, nullptr, nullptr, nullptr));
  }
}

TEST(CState, GoesThroughBytesAndFiles) {
  auto options = model_options();
  options.slots = 2;
  const ModelHandle model = open_bundled(options);
  const StateHandle state = new_state(model), other = new_state(model);
  step(state, random_ids(200, 1024, 2));
  const std::string bytes = snapshot_of(state);
  TemporaryFolder folder;
  const std::string path = (folder / "state").string();
  expect_ok(bitaxon_state_save(state.p, path.data(), path.size()));
  std::ifstream file(path, std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), bytes);
  expect_ok(bitaxon_state_restore(other.p, bytes.data(), bytes.size()));
  EXPECT_EQ(snapshot_of(other), bytes);
  expect_ok(bitaxon_state_reset(other.p));
  expect_ok(bitaxon_state_load(other.p, path.data(), path.size()));
  EXPECT_EQ(snapshot_of(other), bytes);
  EXPECT_TRUE(same_bits(step(other, {3}), step(state, {3})));
}

TEST(CState, RefusesDamagedBytesAndStaysAsItWas) {
  auto options = model_options();
  const ModelHandle model = open_bundled(options);
  const StateHandle state = new_state(model);
  step(state, {1, 2, 3});
  const std::string bytes = snapshot_of(state);
  step(state, {4, 5});
  const std::string before = snapshot_of(state);
  for (std::size_t size = 0; size < bytes.size(); size += size < 20 ? 1 : bytes.size() / 50)
    expect_failure(bitaxon_state_restore(state.p, bytes.data(), size), BITAXON_STATUS_FORMAT,
                   "saved state");
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{7}, std::size_t{8}, bytes.size() / 2, bytes.size() - 1}) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    expect_failure(bitaxon_state_restore(state.p, damaged.data(), damaged.size()),
                   BITAXON_STATUS_FORMAT);
  }
  const StateHandle small = new_state(open_small());
  const std::string foreign = snapshot_of(small);
  expect_failure(bitaxon_state_restore(state.p, foreign.data(), foreign.size()),
                 BITAXON_STATUS_FORMAT, "another model");
  const std::string missing = "/nonexistent/state";
  expect_failure(bitaxon_state_load(state.p, missing.data(), missing.size()), BITAXON_STATUS_IO,
                 missing);
  expect_failure(bitaxon_state_save(state.p, missing.data(), missing.size()), BITAXON_STATUS_IO,
                 missing);
  std::int32_t n_steps = 0;
  expect_ok(bitaxon_state_rewindable(state.p, &n_steps));
  EXPECT_EQ(n_steps, 2) << "a failed call lost the history";
  EXPECT_EQ(snapshot_of(state), before);
}

/// Writes a model without a tokenizer, whose logits are all NaN.
std::string write_broken_model(const TemporaryFolder& folder) {
  StoredModel model = random_stored(small_config(), 3);
  model.tensors.at("output_proj.weight").values[0] = std::numeric_limits<float>::quiet_NaN();
  const std::filesystem::path path = folder / "model";
  std::filesystem::create_directory(path);
  write_model(path, model);
  return path.string();
}

TEST(CState, NotANumberFailsAndChangesNothing) {
  TemporaryFolder folder;
  const std::string path = write_broken_model(folder);
  const std::vector<std::int32_t> ids = random_ids(600, small_config().vocab_size, 3);
  for (const int run_ahead : {0, 2}) {
    auto options = model_options();
    options.run_ahead = run_ahead;
    const ModelHandle model = test::open_model(path, options);
    const StateHandle state = new_state(model);
    expect_ok(bitaxon_step(state.p, ids.data(), 3, BITAXON_LOGITS_NONE, nullptr));
    const std::string before = snapshot_of(state);
    std::int32_t token = 77;
    for (const std::size_t n : {std::size_t{2}, ids.size()}) {
      expect_failure(bitaxon_step_token(state.p, ids.data(), n, nullptr, &token),
                     BITAXON_STATUS_DEVICE, "not finite");
      BufferHandle text;
      auto result = initialized(bitaxon_generate_result_init);
      expect_failure(bitaxon_generate(state.p, ids.data(), n, nullptr, text.p, nullptr, &result),
                     BITAXON_STATUS_DEVICE, "not finite");
      EXPECT_EQ(text.text(), "");
      EXPECT_EQ(result.prompt_tokens, 0);
      RequestHandle request;
      expect_ok(bitaxon_request_submit(state.p, ids.data(), n, nullptr, &request.p));
      expect_failure(bitaxon_request_next(request.p, -1, text.p), BITAXON_STATUS_DEVICE,
                     "not finite");
      expect_ok(bitaxon_request_wait(request.p, -1));
      expect_failure(bitaxon_request_result(request.p, text.p, nullptr, &result),
                     BITAXON_STATUS_DEVICE, "not finite");
    }
    EXPECT_EQ(token, 77);
    EXPECT_EQ(snapshot_of(state), before);
  }
}

TEST(CState, APromptWithoutRoomChangesNothing) {
  auto options = model_options();
  options.context = 20;
  const ModelHandle model = open_bundled(options);
  const StateHandle state = new_state(model);
  step(state, {1, 2, 3});
  const std::string before = snapshot_of(state);
  const std::vector<std::int32_t> ids = random_ids(18, 1024, 3);
  BufferHandle out;
  expect_failure(bitaxon_step(state.p, ids.data(), ids.size(), BITAXON_LOGITS_LAST, out.p),
                 BITAXON_STATUS_INVALID_ARGUMENT, "21 tokens");
  expect_failure(
      bitaxon_generate(state.p, ids.data(), ids.size(), nullptr, out.p, nullptr, nullptr),
      BITAXON_STATUS_INVALID_ARGUMENT, "21 tokens");
  EXPECT_EQ(out.text(), "");
  EXPECT_EQ(snapshot_of(state), before);
  auto result = initialized(bitaxon_generate_result_init);
  expect_ok(bitaxon_generate(state.p, ids.data(), 15, nullptr, out.p, nullptr, &result));
  EXPECT_EQ(result.context_full, 1);
  EXPECT_EQ(result.finish_reason, BITAXON_FINISH_LENGTH);
}

}  // namespace
}  // namespace bitaxon::test
