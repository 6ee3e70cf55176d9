// Tests of sessions that keep compiled steps and state.
#include "eager/session.h"

#include <gtest/gtest.h>

#include <numeric>

#include "bitaxon/ops.h"
#include "op_tests/step_session.h"
#include "support/backends.h"

namespace bitaxon::test {
namespace {

std::vector<float> counted(std::size_t n) {
  std::vector<float> values(n);
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

/// A product with a matrix of ones.
EagerSession::Record sum_of_row(const std::shared_ptr<const Weight>& ones) {
  return [&ones](const EagerSession::Context& c) {
    return std::vector{linear(c.inputs[0], c.graph.weight(ones))};
  };
}

TEST(EagerSession, UsesItsCompiledStepsAgainAfterTheArenaHasGrown) {
  Backend& backend = cpu_backend(1);
  const std::vector<float> ones(4, 1.0F);
  const auto weight = packed_weight(backend, {1, 1, 4}, ones);
  EagerSession session(backend, 1);
  for (const std::uint32_t n_rows : {1U, 300U, 1U, 512U, 3U}) {
    const auto x = counted(n_rows * 4);
    const SessionInput inputs[] = {rows_of(x, 4)};
    const auto y = session.run(n_rows, inputs, sum_of_row(weight))[0];
    ASSERT_EQ(y.size(), n_rows);
    for (std::size_t r = 0; r < n_rows; ++r)
      ASSERT_EQ(y[r], static_cast<float>(16 * r + 10)) << "row " << r << " of " << n_rows;
  }
}

TEST(EagerSession, SessionsShareMemory) {
  Backend& backend = cpu_backend(1);
  const std::vector<float> ones(4, 1.0F), twos(4, 2.0F);
  const auto first = packed_weight(backend, {1, 1, 4}, ones);
  const auto second = packed_weight(backend, {1, 1, 4}, twos);
  const auto memory = std::make_shared<StepMemory>();
  EagerSession a(backend, 1, {.schedule = {}, .memory = memory});
  EagerSession b(backend, 1, {.schedule = {}, .memory = memory});
  for (const std::uint32_t n_rows : {2U, 64U, 2U}) {
    const auto x = counted(n_rows * 4);
    const SessionInput inputs[] = {rows_of(x, 4)};
    const auto y = a.run(n_rows, inputs, sum_of_row(first))[0];
    const auto z = b.run(n_rows, inputs, sum_of_row(second))[0];
    for (std::size_t r = 0; r < n_rows; ++r) ASSERT_EQ(z[r], 2 * y[r]);
  }
}

TEST(EagerSession, StateThatIsWrittenIsWhatTheNextStepReads) {
  Backend& backend = reference_backend();
  StepSession session(backend, 2);
  const std::int32_t state = session.add_state(DType::f32, {1, 2});
  const std::vector<float> values = {3, 4}, others = {5, 6};
  session.write_state(state, 0, values);
  session.write_state(state, 1, others);
  EXPECT_EQ(session.read_state(state, 0), values);
  EXPECT_EQ(session.read_state(state, 1), others);
}

}  // namespace
}  // namespace bitaxon::test
