// Tests that a recording has all the barriers that it needs, and no others. With all barriers,
// synchronization validation must report nothing. Where a barrier is left out, it must report a
// hazard.
//
// Every second barrier is left out in one run, and the others in another run. A barrier orders
// everything before it and everything after it. So a hazard between two barriers that stay comes from
// the one between them, and each barrier is tested as if it alone were left out. The layers report a
// hazard while the commands are recorded, before the next barrier.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "bitaxon/model.h"
#include "support/small_models.h"
#include "support/source_tree.h"
#include "support/tuners.h"
#include "vulkan_tests/barriers.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::test {
namespace {

/// A model, and the sequences that its steps feed together.
struct Structure {
  std::string name;
  std::string family;             ///< a folder of golden/families; empty: a small Bit-Axon model
  std::vector<std::size_t> rows;  ///< of each sequence
};

void PrintTo(const Structure& structure, std::ostream* out) { *out << structure.name; }

/// Whether the layers cannot report the hazard. They do not know whether a shader writes what it may
/// write, so they are silent about a write that follows a write of the same kind. These launches
/// change in place what the launch before them has written.
bool is_silent(const LeftOutBarrier& barrier) {
  return barrier.where.ends_with("moe_gate_up_backward: moe_back") ||
         barrier.where.ends_with("attn_in: attn_turn");
}

/// Tests whose backend is open as long as the suite runs, so that its pipelines are made only once.
template <class Base>
class WithWatchedBackend : public Base {
 protected:
  static void SetUpTestSuite() {
    layer_ = std::make_unique<WithLayer>(kSynchronization);
    messages_ = std::make_unique<vulkan::Messages>();
    vulkan::VulkanOptions options = test_options();
    options.messages = messages_.get();
    options.hook = hook_barriers;
    backend_ = vulkan::open_vulkan_backend(options);
  }
  static void TearDownTestSuite() {
    backend_.reset();
    messages_.reset();
    layer_.reset();
  }

  /// Runs `act` with all barriers, and then twice with half of them.
  static void expect_every_barrier_is_needed(const std::function<void()>& act, int n_at_least) {
    messages_->lines.clear();
    int n_barriers = 0;
    {
      const BarrierWatch whole(*messages_, [](int) { return false; });
      act();
      n_barriers = whole.n_inner();
    }
    EXPECT_EQ(messages_->lines, std::vector<std::string>());
    EXPECT_GE(n_barriers, n_at_least);
    int n_tested = 0;
    for (const int parity : {0, 1}) {
      // Barrier 0 separates submissions. layers_test.cpp tests this barrier.
      const BarrierWatch half(*messages_,
                              [&](int number) { return number > 0 && number % 2 == parity; });
      act();
      EXPECT_EQ(half.n_inner(), n_barriers);
      for (const LeftOutBarrier& barrier : half.left_out())
        EXPECT_TRUE(any_holds(barrier.messages, "SYNC-HAZARD") || is_silent(barrier))
            << barrier.where;
      n_tested += static_cast<int>(half.left_out().size());
    }
    EXPECT_EQ(n_tested, n_barriers);
  }

  static inline std::unique_ptr<WithLayer> layer_;
  static inline std::unique_ptr<vulkan::Messages> messages_;
  static inline std::shared_ptr<Backend> backend_;
};

class Synchronization : public WithWatchedBackend<testing::TestWithParam<Structure>> {
 protected:
  static Model make(const Structure& structure, const LoadOptions& options) {
    if (structure.family.empty()) {
      BitAxonConfig config = small_config();
      config.num_layers = 3;  // one of each kind
      return Model::random(backend_, config.spec(), 1, options);
    }
    std::vector<std::string> warnings;
    return Model::load(backend_, model_files(golden_dir() / "families" / structure.family), options,
                       warnings);
  }

  /// Two steps. The first sequence of a step takes a token with all stages of the sampler, the last
  /// one takes the most likely token.
  static void run(const Structure& structure) {
    LoadOptions options;
    options.n_slots = static_cast<int>(structure.rows.size());
    Model model = make(structure, options);
    std::vector<State> states;
    std::vector<std::vector<std::int32_t>> ids;
    for (const std::size_t n : structure.rows) {
      states.push_back(model.new_state());
      ids.push_back(random_ids(n, model.spec().vocab_size, static_cast<std::uint32_t>(n)));
    }
    for (int step = 0; step < 2; ++step) {
      std::vector<SegmentInput> segments;
      for (std::size_t i = 0; i < states.size(); ++i) {
        segments.push_back({&states[i], ids[i], {}});
        if (i > 0 && i + 1 == states.size()) segments[i].sampler.temperature = 0;
      }
      segments[0].sampler.min_p = 0.01;
      segments[0].sampler.repetition_penalty = 1.1;
      model.wait(model.submit(segments));
    }
  }
};

TEST_P(Synchronization, EveryBarrierIsNeededAndNoneIsMissing) {
  // A launch that reads the results of another launch needs a barrier. Each layer has several such
  // launches.
  expect_every_barrier_is_needed([] { run(GetParam()); }, 10);
}

std::string name_of_structure(const testing::TestParamInfo<Structure>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(
    Brief, Synchronization,
    testing::Values(Structure{"bit_axon_decode", "", {1}}, Structure{"bit_axon_prefill", "", {40}},
                    Structure{"bit_axon_four", "", {1, 1, 1, 1}},
                    Structure{"bit_axon_mixed", "", {1, 7, 1, 30}},
                    Structure{"jamba_q4_decode", "mlx_jamba_q4", {1}},
                    Structure{"qwen3_experts_q4_decode", "mlx_qwen3moe_q4", {1}},
                    Structure{"falcon_mamba_decode", "falcon_mamba_a", {1}},
                    Structure{"qwen2_int8_decode", "bnb_qwen2_int8", {1}}),
    name_of_structure);
INSTANTIATE_TEST_SUITE_P(
    Exhaustive, Synchronization,
    testing::Values(Structure{"jamba_q4_prefill", "mlx_jamba_q4", {40}},
                    Structure{"jamba_four", "jamba_a", {1, 1, 1, 1}},
                    Structure{"qwen3_experts_prefill", "qwen3moe_a", {40}},
                    Structure{"qwen3_experts_q4_four", "mlx_qwen3moe_q4", {1, 1, 1, 1}},
                    Structure{"falcon_mamba_mixed", "falcon_mamba_a", {1, 7, 1, 30}},
                    Structure{"falcon_mamba_fp4_decode", "bnb_falcon_mamba_fp4", {1}},
                    Structure{"mamba_decode", "mamba_a", {1}},
                    Structure{"qwen3_window_decode", "qwen3_window", {1}},
                    Structure{"qwen2_int8_mixed", "bnb_qwen2_int8", {1, 7, 1, 30}}),
    name_of_structure);

class SynchronizationOfTraining : public WithWatchedBackend<testing::TestWithParam<Objective>> {};

TEST_P(SynchronizationOfTraining, EveryBarrierIsNeededAndNoneIsMissing) {
  const auto update = [] {
    TunerOptions options;
    options.adapter.kind = AdapterKind::dora;
    options.adapter.rank = 3;
    options.adapter.dropout = 0.2;
    options.max_tokens = 32;
    options.objective = GetParam();
    BitAxonConfig config = small_config();
    config.num_layers = 3;  // one of each kind
    Tuner tuner(BaseModel::random(config.spec(), 7), backend_, options);
    const std::vector<TrainSequence> sequences = {random_sequence(17, config.vocab_size, 3),
                                                  random_sequence(5, config.vocab_size, 4)};
    tuner.update(sequences, {});
  };
  expect_every_barrier_is_needed(update, 40);
}

std::string name_of_objective(const testing::TestParamInfo<Objective>& info) {
  return info.param == Objective::sft ? "sft" : "orpo";
}

INSTANTIATE_TEST_SUITE_P(Brief, SynchronizationOfTraining, testing::Values(Objective::sft),
                         name_of_objective);
INSTANTIATE_TEST_SUITE_P(Exhaustive, SynchronizationOfTraining, testing::Values(Objective::orpo),
                         name_of_objective);

}  // namespace
}  // namespace bitaxon::test
