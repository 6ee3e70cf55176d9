// What evaluating makes of logits, and which it refuses.
#include "generate/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "cpu/cpu_backend.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/wrapped_backend.h"

namespace bitaxon::test {
namespace {

const std::atomic<bool> kGoOn{false};

/// A model whose logits a test may change on their way back.
class EvaluationTest : public testing::Test {
 protected:
  Evaluation evaluated(const std::function<void(std::span<float>)>& change) {
    backend_.change_download = [&](std::span<std::byte> bytes) {
      std::vector<float> logits(bytes.size() / sizeof(float));
      std::memcpy(logits.data(), bytes.data(), bytes.size());
      change(logits);
      std::memcpy(bytes.data(), logits.data(), bytes.size());
    };
    const auto ids = random_ids(8, config_.vocab_size, 1);
    return *evaluate(
        model_, &other_, ids, {}, [](std::uint64_t) {}, kGoOn);
  }

  Config config_ = small_config();
  std::unique_ptr<Backend> plain_ = cpu::open_cpu_backend({});
  WrappedBackend backend_{cpu::open_cpu_backend({})};
  Model model_ = Model::random(backend_, config_, 1, {});
  Model other_ = Model::random(*plain_, config_, 2, {});
};

TEST_F(EvaluationTest, RefusesEveryLogitThatIsNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float odd : {infinity, -infinity, std::numeric_limits<float>::quiet_NaN()}) {
    const auto n = static_cast<std::size_t>(config_.vocab_size);
    expect_error([&] { evaluated([&](std::span<float> logits) { logits[2 * n + 5] = odd; }); },
                 ErrorKind::device, {"logits of token 2", "id 5"});
  }
}

TEST_F(EvaluationTest, LogitsOfAnySizeHaveADivergence) {
  const Evaluation found = evaluated([](std::span<float> logits) {
    for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = i % 2 == 0 ? 3e38f : -3e38f;
  });
  EXPECT_TRUE(std::isfinite(found.divergence->mean_kl));
  EXPECT_GT(found.divergence->mean_kl, 1e37);
  EXPECT_TRUE(std::isfinite(found.model.nll_per_token()));
}

}  // namespace
}  // namespace bitaxon::test
