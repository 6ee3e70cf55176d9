// Tests the peak memory while a model is loaded.
#include <gtest/gtest.h>

#include "bitaxon/devices.h"
#include "support/memory_watch.h"

namespace bitaxon::test {
namespace {

TEST(LoadingPeak, IsBelowTheModelAndItsLargestTensor) {
  const auto backend = open_device("cpu", {.n_threads = 2}).backend;
  expect_low_loading_peak(*backend);
}

}  // namespace
}  // namespace bitaxon::test
