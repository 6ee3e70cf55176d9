// Tests of the memory that a model needs. The library announces this memory before it loads the
// model. A model that does not fit is refused. A model that fits takes exactly the announced
// memory.
#include <gtest/gtest.h>

#include "core/step.h"
#include "model/memory_need.h"
#include "support/backends.h"
#include "support/borrowed_backend.h"
#include "support/default_model.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"
#include "support/wrapped_backend.h"

namespace bitaxon::test {
namespace {

std::uint64_t part_of(const MemoryNeed& need, const std::string& purpose) {
  for (const MemoryRow& row : need.rows)
    for (const MemoryRow::Part& part : row.parts)
      if (part.purpose == purpose) return part.bytes;
  return 0;
}

class Memory : public testing::TestWithParam<const char*> {
 protected:
  Memory() : backend_(open_device(GetParam(), {.n_threads = 2}).backend) {}

  Model random(const LoadOptions& options = {}) {
    return Model::random(borrowed(backend_), small_config().spec(), 1, options);
  }
  MemoryNeed need(const LoadOptions& options = {}) {
    return model_need(small_config().spec(), random_found(small_config().spec()), options,
                      *backend_.description())
        .memory;
  }
  /// Expects that `load` is refused before anything is packed or allocated. The message must
  /// contain every fragment.
  template <class Load>
  MemoryNeed expect_refused(const Load& load, std::initializer_list<std::string_view> fragments) {
    expect_error(load, ErrorKind::device, fragments);
    EXPECT_TRUE(backend_.captured().empty());
    EXPECT_EQ(backend_.n_allocated(), 0);
    try {
      load();
    } catch (const OutOfMemory& error) {
      return error.need();
    }
    ADD_FAILURE() << "expected OutOfMemory";
    return {};
  }
  void set_available(std::optional<std::uint64_t> bytes) {
    backend_.change_description = [bytes](ChangedDescription& device) {
      device.kinds[0].available_bytes = bytes;
    };
  }

  WrappedBackend backend_;
};

TEST_P(Memory, OneMissingByteIsEnoughToRefuseAModel) {
  const std::uint64_t needed = need().rows[0].needed_bytes();
  set_available(needed - 1);
  const MemoryNeed refused =
      expect_refused([&] { random(); }, {GetParam(), "system memory", "available"});
  ASSERT_EQ(refused.rows.size(), 1u);
  EXPECT_EQ(refused.rows[0].kind, "system memory");
  EXPECT_EQ(refused.rows[0].needed_bytes(), needed);
  EXPECT_EQ(refused.rows[0].available_bytes, needed - 1);
  for (const char* purpose : {"weights", "state", "activations", "loading"})
    EXPECT_GT(part_of(refused, purpose), 0u) << purpose;
  // Takes effect immediately, because each load asks how much memory is available.
  set_available(needed);
  random();
  set_available(0);
  backend_.forget();
  expect_refused([&] { random(); }, {"available"});
  set_available(std::nullopt);
  random();
}

TEST_P(Memory, ModelFilesThatDoNotFitAreRefused) {
  const TemporaryFolder folder;
  const StoredModel stored = random_stored(small_config(), 5);
  write_model(folder.path(), stored);
  std::vector<std::string> warnings;
  set_available(1000);
  const MemoryNeed refused = expect_refused(
      [&] { Model::load(borrowed(backend_), model_files(folder.path()), {}, warnings); },
      {"1000 B"});
  set_available(refused.rows[0].needed_bytes());
  const Model model = Model::load(borrowed(backend_), model_files(folder.path()), {}, warnings);
  EXPECT_EQ(part_of(refused, "weights"), model.packed_bytes());
}

TEST_P(Memory, EveryKindOfMemoryMustSuffice) {
  const std::uint64_t loading = part_of(need(), "loading");
  const std::uint64_t needed = need().rows[0].needed_bytes() - loading;
  const auto two_kinds = [&](std::uint64_t device, std::uint64_t system) {
    backend_.change_description = [=](ChangedDescription& changed) {
      changed.kinds = {{"device memory", device, 100}, {"system memory", system, 10}};
    };
  };
  two_kinds(needed + 99, loading + 10);
  expect_refused([&] { random(); }, {"device memory"});
  two_kinds(needed + 100, loading + 9);
  expect_refused([&] { random(); }, {"system memory"});
  two_kinds(0, 0);
  expect_refused([&] { random(); }, {"device memory", "system memory"});
  two_kinds(needed + 100, loading + 10);
  random();
}

TEST_P(Memory, NamesTheTensorOrBufferBeyondALimit) {
  backend_.change_description = [](ChangedDescription& device) { device.buffer_limit = 1023; };
  const MemoryNeed refused =
      expect_refused([&] { random(); }, {"embed_tokens", "1023 B", "buffer"});
  EXPECT_NE(refused.too_large, "");
  const std::uint64_t arena = part_of(need(), "activations");
  backend_.change_description = [=](ChangedDescription& device) {
    device.buffer_limit = arena - 1;
  };
  expect_refused([&] { random(); }, {"the activations", "buffer"});
  backend_.change_description = [=](ChangedDescription& device) { device.buffer_limit = arena; };
  random();
  backend_.forget();
  backend_.change_description = [](ChangedDescription& device) {
    device.state_problem = "too long";
  };
  expect_refused([&] { random(); }, {"too long"});
}

TEST_P(Memory, LoadingTakesTheAnnouncedMemory) {
  for (const bool plan_reuse : {true, false}) {
    for (const StepOutput output : {StepOutput::token, StepOutput::all_logits}) {
      LoadOptions options;
      options.n_slots = 3;
      options.run_ahead = 1;
      options.plan_reuse = plan_reuse;
      options.largest_step = {output, output == StepOutput::all_logits};
      const MemoryNeed told = need(options);
      backend_.forget();
      Model model = random(options);
      EXPECT_EQ(part_of(told, "weights"), model.packed_bytes());
      EXPECT_EQ(part_of(told, "state"), model.state_bytes());
      // Steps of all sizes use the same memory for activations.
      const int n_allocated = backend_.n_allocated();
      std::size_t largest = 0;
      for (std::int64_t rows = 1; rows <= kMaxRows; rows *= 2)
        largest = std::max(largest, model.plan_sizes(rows, options.largest_step).arena_bytes);
      EXPECT_LE(largest, part_of(told, "activations"));
      EXPECT_GT(2 * largest, part_of(told, "activations"));
      State state = model.new_state();
      model.wait(model.feed(state, random_ids(600, small_config().vocab_size, 1), output));
      EXPECT_EQ(backend_.n_allocated(), n_allocated);
    }
  }
}

TEST_P(Memory, PackedWeightsTakeNoMoreThanStoredOnes) {
  expect_packed_like_stored(*backend_.description());
}

INSTANTIATE_TEST_SUITE_P(Devices, Memory, testing::Values("cpu", "reference"),
                         [](const auto& one) { return std::string(one.param); });

}  // namespace
}  // namespace bitaxon::test
