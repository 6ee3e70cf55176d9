// Whole runs against loss curves that an independent program has computed in float64.
#include <gtest/gtest.h>

#include "bitaxon/devices.h"
#include "support/training_curves.h"

namespace bitaxon::test {
namespace {

void expect_curve_of(const std::string& device, const std::string& name, std::size_t n_updates,
                     Precision precision = Precision::exact) {
  expect_curve(name, open_device(device, {.n_threads = 2}).backend, precision, n_updates,
               precision == Precision::exact ? kExactCurve : kFastCurve);
}

TEST(LengthyCurve, BeginsAsRecorded) { expect_curve_of("cpu", "ref", 25); }
TEST(LengthyCurve, OfDoraBeginsAsRecorded) { expect_curve_of("cpu", "dora_ref", 25); }
TEST(LengthyCurve, WithAccumulationBeginsAsRecorded) { expect_curve_of("cpu", "accum4_ref", 3); }

TEST(ExhaustiveCurve, OfAFourBitBaseEndsAsThatOfTheFloatBase) {
  const auto held_out = [](const char* format) {
    return held_out_loss(format, open_device("cpu", {.n_threads = 2}).backend, 100);
  };
  const double of_floats = held_out("");
  EXPECT_NEAR(held_out("mlx"), of_floats, 0.05);
  EXPECT_NEAR(held_out("nf4"), of_floats, 0.05);
}

TEST(ExhaustiveCurve, IsAsRecorded) {
  expect_curve_of("cpu", "ref", 100);
  expect_curve_of("cpu", "dora_ref", 50);
  expect_curve_of("cpu", "accum4_ref", 20);
}
TEST(ExhaustiveCurve, OfTheReferenceIsAsRecorded) { expect_curve_of("reference", "ref", 100); }
TEST(ExhaustiveCurve, OfFastProductsIsClose) {
  expect_curve_of("cpu", "ref", 100, Precision::fast);
}

}  // namespace
}  // namespace bitaxon::test
