// Tests that results do not depend on NaN in unused memory, on the order of experts, on reuse of
// the arena, or on other sequences in the same step.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <numeric>

#include "core/plan.h"
#include "model/step_graph.h"
#include "support/borrowed_backend.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"
#include "support/wrapped_backend.h"

namespace bitaxon::test {
namespace {

std::vector<float> read_logits(Model& model, std::size_t rows) {
  std::vector<float> logits(rows * static_cast<std::size_t>(model.spec().vocab_size));
  model.read_logits(logits);
  return logits;
}

// ---- rows and memory that a step has not written

/// Runs steps with every kind of output. Most numbers of rows are not powers of two, so most
/// buckets have rows beyond the valid rows.
std::vector<float> run_every_output(Model& model, StateSnapshot& snapshot) {
  const auto ids = random_ids(640, model.spec().vocab_size, 2);
  State state = model.new_state();
  std::vector<float> all;
  std::size_t done = 0;
  const auto feed = [&](std::size_t n, StepOutput output, const StepOptions& options = {}) {
    const SegmentInput segment{&state, std::span(ids).subspan(done, n), {}, output};
    model.submit({&segment, 1}, options);
    done += n;
  };
  const auto keep = [&](const std::vector<float>& more) {
    all.insert(all.end(), more.begin(), more.end());
  };
  for (const std::size_t n : {3u, 1u, 5u, 9u, 2u, 300u}) {
    feed(n, StepOutput::all_logits, {.layer_outputs = true});
    keep(read_logits(model, n));
    std::vector<float> layer(n * static_cast<std::size_t>(model.spec().d_model));
    for (std::int64_t i = 0; i < model.spec().n_blocks(); ++i) {
      model.read_layer(i, layer);
      keep(layer);
    }
  }
  feed(7, StepOutput::none);
  feed(300, StepOutput::last_logits);
  keep(read_logits(model, 1));
  const SamplerParams sampler{.temperature = 1, .repetition_penalty = 1.2, .seed = 4};
  Ticket ticket = model.feed(state, std::span(ids).subspan(done, 3), StepOutput::token, sampler);
  for (int i = 0; i < 5; ++i) {
    keep({static_cast<float>(model.wait(ticket).tokens[0])});
    const SegmentInput feed_back{&state, {}, sampler};
    ticket = model.submit({&feed_back, 1});
  }
  snapshot = state.snapshot();
  return all;
}

TEST(Poison, NaNInUnusedMemoryReachesNeitherOutputsNorState) {
  for (const char* device : {"reference", "cpu"})
    for (const bool reuse : {true, false})
      for (const int run_ahead : {0, 2}) {
        LoadOptions options;
        options.run_ahead = run_ahead;
        options.plan_reuse = reuse;
        StateSnapshot snapshots[2];
        std::vector<float> outputs[2];
        for (const bool poison : {false, true}) {
          WrappedBackend backend(open_device(device, {.n_threads = 2}).backend, poison);
          Model model = Model::random(borrowed(backend), small_config().spec(), 1, options);
          outputs[poison] = run_every_output(model, snapshots[poison]);
        }
        EXPECT_TRUE(same_bits(outputs[1], outputs[0])) << device;
        EXPECT_TRUE(snapshots[1] == snapshots[0]) << device;
      }
}

TEST(Poison, NaNInUnusedMemoryReachesNoSegment) {
  std::vector<float> outputs[2];
  for (const bool poison : {false, true}) {
    WrappedBackend backend(open_device("cpu", {.n_threads = 1}).backend, poison);
    LoadOptions options;
    options.n_slots = 3;
    Model model = Model::random(borrowed(backend), small_config().spec(), 1, options);
    const auto ids = random_ids(11, 61, 3);
    State a = model.new_state(), b = model.new_state(), c = model.new_state();
    const auto submit = [&](StepOutput output) {
      const SegmentInput segments[] = {{&a, std::span(ids).first(4), {}, output},
                                       {&b, std::span(ids).subspan(4, 1), {}, output},
                                       {&c, std::span(ids).subspan(5, 6), {}, output}};
      model.submit(segments);
    };
    submit(StepOutput::all_logits);
    outputs[poison] = read_logits(model, 11);
    submit(StepOutput::last_logits);
    const auto last = read_logits(model, 3);
    outputs[poison].insert(outputs[poison].end(), last.begin(), last.end());
  }
  EXPECT_TRUE(same_bits(outputs[1], outputs[0]));
}

// ---- steps that are compiled ahead of time

TEST(Prepare, LeavesNothingToCompile) {
  WrappedBackend backend(open_device("cpu", {.n_threads = 1}).backend);
  Model model = Model::random(borrowed(backend), small_config().spec(), 1, {});
  SamplerParams drawn;
  drawn.repetition_penalty = 1.5;
  model.prepare(7, {StepOutput::all_logits, true});
  model.prepare(1, {StepOutput::token}, drawn);
  const int n_compiled = backend.n_compiled();
  EXPECT_GE(n_compiled, 2);
  State state = model.new_state();
  const auto ids = random_ids(7, 61, 3);
  const SegmentInput segment{&state, ids, {}, StepOutput::all_logits};
  model.submit({&segment, 1}, {.layer_outputs = true});
  model.wait(model.feed(state, std::span(ids).first(1), StepOutput::token, drawn));
  EXPECT_EQ(backend.n_compiled(), n_compiled);
  for (const std::int64_t n_rows : {0, -1, 513})
    expect_error([&] { model.prepare(n_rows, {}); }, ErrorKind::invalid_argument,
                 {"[prepare] rows: expected 1..512", std::to_string(n_rows)});
}

// ---- reuse of the arena

TEST(PlanReuse, DoesNotChangeResults) {
  for (const char* device : {"reference", "cpu"}) {
    std::vector<float> outputs[2];
    StateSnapshot snapshots[2];
    std::size_t arena_bytes[2];
    for (const bool reuse : {false, true}) {
      LoadOptions options;
      options.plan_reuse = reuse;
      OpenModel open = open_random(device, 2, small_config(), options);
      outputs[reuse] = run_every_output(open.model, snapshots[reuse]);
      const auto sizes = open.model.plan_sizes(512, {StepOutput::token});
      arena_bytes[reuse] = sizes.arena_bytes;
      if (!reuse) {
        EXPECT_EQ(sizes.arena_bytes, sizes.unshared_bytes);
      }
    }
    EXPECT_TRUE(same_bits(outputs[1], outputs[0])) << device;
    EXPECT_TRUE(snapshots[1] == snapshots[0]) << device;
    EXPECT_LT(arena_bytes[1], arena_bytes[0] / 2) << device;
  }
}

/// Weights with the right shapes but without data. This is enough to record and plan a step.
Weights shapes_only(const ModelSpec& spec) {
  Weights weights;
  for (const WeightSlot& slot : weight_slots(spec)) {
    auto weight = std::make_shared<Weight>();
    weight->name = slot.name();
    weight->shape = matrix_shape(slot);
    weight->format = "f32";
    weights.set(slot.key, weight);
  }
  return weights;
}

TEST(PlanReuse, ShrinksTheArenaOfTheDefaultConfiguration) {
  const ModelSpec spec = preset_spec("default");
  const Weights weights = shapes_only(spec);
  StateIndex index;
  const StateLayout layout = state_layout(spec, {.context = spec.max_seq_len}, index);
  for (const char* device : {"reference", "cpu"}) {
    const auto backend = open_device(device, {.n_threads = 2}).backend;
    for (const StepOutput output : {StepOutput::none, StepOutput::last_logits, StepOutput::token}) {
      StepDemand demand;
      demand.add(512, output, {.temperature = 1, .repetition_penalty = 2});
      const auto plan =
          schedule(record_step(kind_of(demand, false), spec, weights, layout, index).graph,
                   *backend->description());
      EXPECT_GT(plan->unshared_bytes, std::size_t{1} << 30);
      EXPECT_LE(static_cast<double>(plan->arena_bytes),
                0.15 * static_cast<double>(plan->unshared_bytes))
          << device;
    }
  }
}

// ---- experts

TEST(Experts, TheOrderOfExpertsDoesNotChangeResults) {
  BitAxonConfig config = small_config();
  config.moe_num_experts = 5;
  const StoredModel stored = random_stored(config, 4);
  const std::size_t order[] = {3, 0, 4, 2, 1};
  StoredModel permuted = stored;
  for (auto& [name, tensor] : permuted.tensors) {
    // These tensors have one block per expert: a matrix of the expert, or its row of the router.
    if (name.find(".moe.switch_mlp.") == name.npos && !name.ends_with(".moe.gate.weight")) continue;
    const std::vector<float>& from = stored.tensors.at(name).values;
    const std::size_t block = from.size() / std::size(order);
    ASSERT_EQ(tensor.shape[0], 5) << name;
    for (std::size_t e = 0; e < std::size(order); ++e)
      std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(order[e] * block), block,
                  tensor.values.begin() + static_cast<std::ptrdiff_t>(e * block));
  }
  const TemporaryFolder a, b;
  write_model(a.path(), stored);
  write_model(b.path(), permuted);
  const auto ids = random_ids(60, config.vocab_size, 5);
  for (const char* device : {"reference", "cpu"}) {
    std::vector<std::vector<float>> logits;
    for (const auto* folder : {&a, &b}) {
      OpenModel open = open_model(device, 2, folder->path());
      State state = open.model.new_state();
      logits.push_back(feed_all(open.model, state, ids));
    }
    EXPECT_TRUE(same_bits(logits[0], logits[1])) << device;
  }
}

/// All experts have the same row in the router, so every choice is a tie. One expert is chosen.
TEST(Experts, ATieGoesToTheLowerIndex) {
  BitAxonConfig config = small_config();
  config.num_layers = 1;
  config.moe_num_experts = 3;
  config.moe_top_k = 1;
  StoredModel stored = random_stored(config, 4);
  std::vector<float>& gate = stored.tensors.at("layer_0.moe.gate.weight").values;
  std::fill(gate.begin(), gate.end(), 0.25F);
  StoredModel first_twice = stored;
  for (const char* name : {"gate_proj", "up_proj", "down_proj"}) {
    auto& values =
        first_twice.tensors.at(fmt::format("layer_0.moe.switch_mlp.{}.weight", name)).values;
    const std::size_t block = values.size() / 3;
    for (std::size_t i = 0; i < block; ++i) values[block + i] = values[2 * block + i] = values[i];
  }
  const TemporaryFolder a, b;
  write_model(a.path(), stored);
  write_model(b.path(), first_twice);
  std::vector<std::vector<float>> logits;
  for (const auto* folder : {&a, &b}) {
    OpenModel open = open_model("cpu", 1, folder->path());
    State state = open.model.new_state();
    logits.push_back(feed_all(open.model, state, random_ids(20, config.vocab_size, 5)));
  }
  EXPECT_TRUE(same_bits(logits[0], logits[1]));
}

// ---- several sequences in one step

class Slots : public testing::TestWithParam<Precision> {
 protected:
  OpenModel open(int n_threads, int run_ahead) {
    LoadOptions options;
    options.precision = GetParam();
    options.n_slots = 3;
    options.run_ahead = run_ahead;
    return open_random("cpu", n_threads, small_config(), options);
  }
};

TEST_P(Slots, ThreeSequencesInOneStepEqualThreeRuns) {
  const std::size_t prefix[] = {40, 0, 700};
  const std::size_t length[] = {5, 9, 1};
  std::vector<std::vector<std::int32_t>> ids;
  for (std::uint32_t g = 0; g < 3; ++g) ids.push_back(random_ids(800, 61, 20 + g));
  for (const int n_threads : {1, 3}) {
    OpenModel together = open(n_threads, 2);
    std::vector<State> states;
    for (std::size_t g = 0; g < 3; ++g) {
      states.push_back(together.model.new_state());
      if (prefix[g] > 0) feed_all(together.model, states[g], std::span(ids[g]).first(prefix[g]));
    }
    // The first round begins or continues each sequence. The second round continues the same
    // sequences.
    std::vector<float> logits, last;
    for (std::size_t round = 0; round < 2; ++round) {
      std::vector<SegmentInput> segments;
      for (std::size_t g = 0; g < 3; ++g)
        segments.push_back({&states[g],
                            std::span(ids[g]).subspan(prefix[g] + round * length[g], length[g]),
                            {},
                            round == 0 ? StepOutput::all_logits : StepOutput::last_logits});
      together.model.submit(segments);
      if (round == 0) {
        logits = read_logits(together.model, 15);
      } else {
        last = read_logits(together.model, 3);
      }
    }
    OpenModel apart = open(1, 0);
    std::vector<float> expected, expected_last;
    for (std::size_t g = 0; g < 3; ++g) {
      State state = apart.model.new_state();
      if (prefix[g] > 0) feed_all(apart.model, state, std::span(ids[g]).first(prefix[g]));
      const auto rows =
          feed_all(apart.model, state, std::span(ids[g]).subspan(prefix[g], length[g]));
      expected.insert(expected.end(), rows.begin(), rows.end());
      apart.model.feed(state, std::span(ids[g]).subspan(prefix[g] + length[g], length[g]),
                       StepOutput::last_logits);
      const auto row = read_logits(apart.model, 1);
      expected_last.insert(expected_last.end(), row.begin(), row.end());
      EXPECT_TRUE(states[g].snapshot() == state.snapshot()) << "sequence " << g;
    }
    EXPECT_TRUE(same_bits(logits, expected));
    EXPECT_TRUE(same_bits(last, expected_last));
  }
}

TEST_P(Slots, EachSequenceHasItsOwnSampler) {
  const SamplerParams samplers[] = {
      {.temperature = 0},
      {.temperature = 1.5, .top_k = 0, .top_p = 0.9, .repetition_penalty = 1.3, .seed = 5},
      {.temperature = 0.8, .top_k = 7, .top_p = 1, .min_p = 0.05, .seed = 6}};
  constexpr int kTokens = 12;
  std::vector<std::vector<std::int32_t>> prompts;
  for (std::uint32_t g = 0; g < 3; ++g) prompts.push_back(random_ids(3 + 20 * g, 61, 30 + g));
  OpenModel open = this->open(2, 2);
  std::vector<std::vector<std::int32_t>> expected(3), tokens(3);
  for (std::size_t g = 0; g < 3; ++g) {
    State state = open.model.new_state();
    Ticket ticket = open.model.feed(state, prompts[g], StepOutput::token, samplers[g]);
    for (int i = 0; i < kTokens; ++i) {
      expected[g].push_back(open.model.wait(ticket).tokens[0]);
      const SegmentInput feed_back{&state, {}, samplers[g]};
      ticket = open.model.submit({&feed_back, 1});
    }
    open.model.wait(ticket);
  }
  // The sequences run together. The third sequence begins three steps later, so one step has both
  // given ids and ids that are fed back.
  std::vector<State> states;
  for (std::size_t g = 0; g < 3; ++g) states.push_back(open.model.new_state());
  for (int step = 0; step < kTokens + 3; ++step) {
    std::vector<SegmentInput> segments;
    for (std::size_t g = 0; g < (step < 3 ? 2u : 3u); ++g) {
      const bool first = states[g].position() == 0;
      segments.push_back(
          {&states[g],
           first ? std::span<const std::int32_t>(prompts[g]) : std::span<const std::int32_t>(),
           samplers[g]});
    }
    const auto result = open.model.wait(open.model.submit(segments));
    ASSERT_EQ(result.tokens.size(), segments.size());
    for (std::size_t g = 0; g < segments.size(); ++g) tokens[g].push_back(result.tokens[g]);
  }
  for (std::size_t g = 0; g < 3; ++g) {
    tokens[g].resize(kTokens);
    EXPECT_EQ(tokens[g], expected[g]) << "sequence " << g;
  }
}

TEST_P(Slots, RefusesInvalidSteps) {
  OpenModel open = this->open(1, 2);
  OpenModel other = this->open(1, 2);
  const auto ids = random_ids(513, 61, 1);
  State a = open.model.new_state(), b = open.model.new_state();
  State stranger = other.model.new_state();
  const auto one = std::span(ids).first(1);
  const auto refuse = [&](std::vector<SegmentInput> segments,
                          std::initializer_list<std::string_view> fragments) {
    expect_error([&] { open.model.submit(segments); }, ErrorKind::invalid_argument, fragments);
    EXPECT_EQ(a.position(), 0);
    EXPECT_EQ(b.position(), 0);
  };
  refuse({}, {"segments", "1..32", "got 0"});
  refuse({{&a, one, {}}, {&a, one, {}}}, {"state", "twice"});
  refuse({{&a, one, {}}, {&stranger, one, {}}}, {"state", "another"});
  refuse({{&a, one, {}}, {nullptr, one, {}}}, {"state"});
  refuse({{&a, std::span(ids).first(500), {}}, {&b, std::span(ids).first(13), {}}},
         {"rows", "1..512", "got 513"});
  refuse({{&a, ids, {}}}, {"rows", "got 513"});
}

INSTANTIATE_TEST_SUITE_P(All, Slots, testing::Values(Precision::exact, Precision::fast),
                         [](const auto& one) { return std::string(name_of(one.param)); });

}  // namespace
}  // namespace bitaxon::test
