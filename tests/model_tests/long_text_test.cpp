// Tests that a model of selective scans reads a long text in constant memory.
#include <gtest/gtest.h>

#include "bitaxon/devices.h"
#include "support/memory_watch.h"
#include "support/small_models.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

class LongText : public testing::TestWithParam<const char*> {
 protected:
  static constexpr std::size_t kLength = 10'000;

  static std::vector<std::int32_t> text() {
    std::vector<std::int32_t> ids(kLength);
    for (std::size_t i = 0; i < kLength; ++i)
      ids[i] = static_cast<std::int32_t>((i * 7919 + i / 50) % 131);
    return ids;
  }
  /// Feeds the ids in pieces. Returns the logits of the last id.
  static std::vector<float> feed(Model& model, State& state, std::span<const std::int32_t> ids,
                                 std::size_t piece) {
    for (; ids.size() > piece; ids = ids.subspan(piece))
      model.feed(state, ids.first(piece), StepOutput::none);
    model.feed(state, ids, StepOutput::last_logits);
    std::vector<float> logits(static_cast<std::size_t>(model.spec().vocab_size));
    model.read_logits(logits);
    return logits;
  }
};

TEST_P(LongText, NeedsNoMoreMemoryThanAShortText) {
  constexpr std::uint64_t kSlackBytes = 2
                                        << 20;  // the system counts whole pages of stacks and heaps
  OpenModel open =
      open_model("cpu", 2, golden_dir() / "families" / GetParam() / "model.safetensors");
  State state = open.model.new_state();
  const std::vector<std::int32_t> ids = text();
  feed(open.model, state, std::span(ids).first(1024), 512);
  const StateSnapshot early = state.snapshot();
  state.reset();
  std::vector<float> logits;
  EXPECT_LT(peak_growth_bytes([&] { logits = feed(open.model, state, ids, 512); }), kSlackBytes);
  const StateSnapshot late = state.snapshot();
  EXPECT_EQ(late.position, static_cast<std::int64_t>(kLength));
  ASSERT_EQ(late.tensors.size(), early.tensors.size());
  for (std::size_t i = 0; i < late.tensors.size(); ++i)
    EXPECT_EQ(late.tensors[i].size(), early.tensors[i].size());

  state.reset();
  expect_close(feed(open.model, state, ids, 100), logits, 1, 1e-4, "other pieces", 1);
}

INSTANTIATE_TEST_SUITE_P(Families, LongText, testing::Values("mamba_a", "falcon_mamba_a"),
                         [](const auto& model) { return std::string(model.param); });

}  // namespace
}  // namespace bitaxon::test
