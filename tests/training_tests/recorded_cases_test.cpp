// Loss and gradients of whole models, against the original program and a float64 reference.
#include <gtest/gtest.h>

#include "bitaxon/devices.h"
#include "support/training_cases.h"

namespace bitaxon::test {
namespace {

class RecordedTraining : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(RecordedTraining, ReferenceAgrees) {
  expect_case(TrainingCase(GetParam()), open_device("reference", {.n_threads = 1}).backend,
              {.loss = 1e-6, .gradient = 1e-5, .recorded_gradient = 2e-5});
}

TEST_P(RecordedTraining, CpuAgrees) {
  expect_case(TrainingCase(GetParam()), open_device("cpu", {.n_threads = 2}).backend,
              {.loss = 1e-5, .gradient = 1e-4, .recorded_gradient = 1e-4});
}

INSTANTIATE_TEST_SUITE_P(, RecordedTraining, testing::ValuesIn(training_case_folders()),
                         [](const auto& param) { return param.param.filename().string(); });

}  // namespace
}  // namespace bitaxon::test
