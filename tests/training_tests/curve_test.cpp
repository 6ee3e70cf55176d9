// Whole runs against loss curves that an independent program has computed in float64: the bundled
// model, the bundled text, windows of 256 tokens.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "bitaxon/devices.h"
#include "bitaxon/model_files.h"
#include "bitaxon/tokenizer.h"
#include "formats/json_file.h"
#include "support/tensors.h"
#include "support/training_cases.h"

namespace bitaxon::test {
namespace {

constexpr std::size_t kWindow = 256;
constexpr std::size_t kHeldOut = 4;

std::filesystem::path curve_dir() { return golden_dir() / "training" / "curve"; }

/// The windows of the bundled text, with the following token as label of each token.
std::vector<TrainSequence> windows() {
  std::ifstream in(source_tree() / "models/texts/king-james.txt");
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::vector<std::int32_t> ids = Tokenizer::find(bundled_model_dir())->encode(text);
  EXPECT_EQ(ids.size(), 7284U);
  std::vector<TrainSequence> found;
  for (std::size_t at = 0; at + kWindow < ids.size(); at += kWindow) {
    const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(at);
    found.push_back({.ids = {begin, begin + kWindow}, .labels = {begin + 1, begin + kWindow + 1}});
  }
  return found;
}

struct Bounds {
  double loss = 0, held_out = 0, parameters = 0;
};

/// Runs the first `n_updates` updates of a recorded curve, and compares each loss.
void expect_curve(const std::string& name, const std::string& device, Precision precision,
                  std::size_t n_updates, const Bounds& bounds) {
  const Json curve = read_json_file(curve_dir() / (name + ".json"));
  TunerOptions options;
  options.precision = precision;
  options.max_tokens = kWindow;
  options.adapter.kind = curve.at("dora") == "none" ? AdapterKind::lora : AdapterKind::dora;
  options.adapter.scale = curve.at("scale").get<double>();
  std::vector<std::string> warnings;
  Tuner tuner(BaseModel::of_files(model_files(bundled_model_dir()), "", warnings),
              open_device(device, {.n_threads = 2}).backend, options);
  tuner.write(ParameterVector::value,
              read_parameters(tuner, curve_dir() / (name + ".init.safetensors")));
  OptimizerSettings optimizer;
  optimizer.learning_rate = curve.at("lr").get<double>();
  optimizer.warmup_steps = curve.at("warmup").get<std::int64_t>();
  optimizer.max_steps = curve.at("steps").get<std::int64_t>();
  const auto accumulation = curve.at("accum").get<std::size_t>();
  const std::vector<TrainSequence> all = windows();
  const std::span held_out = std::span(all).last(kHeldOut);
  const std::size_t n_train = all.size() - kHeldOut;
  for (std::size_t u = 0; u < n_updates; ++u) {
    std::vector<TrainSequence> batch;
    for (std::size_t i = 0; i < accumulation; ++i)
      batch.push_back(all[(u * accumulation + i) % n_train]);
    const UpdateResult result = tuner.update(batch, optimizer);
    const Json& expected = curve.at("log").at(u + 1);
    ASSERT_NEAR(result.loss, expected.at("loss").get<double>(), bounds.loss) << "update " << u + 1;
    EXPECT_NEAR(result.learning_rate, expected.at("lr").get<double>(), 1e-12);
    if (expected.contains("eval")) {
      EXPECT_NEAR(tuner.evaluate(held_out).mean(), expected.at("eval").get<double>(),
                  bounds.held_out)
          << "update " << u + 1;
    }
  }
  if (n_updates != static_cast<std::size_t>(optimizer.max_steps)) return;
  EXPECT_LE(relative_l2(tuner.read(ParameterVector::value),
                        read_parameters(tuner, curve_dir() / (name + ".final.safetensors"))),
            bounds.parameters);
}

constexpr Bounds kExact{.loss = 2e-5, .held_out = 1e-5, .parameters = 1e-4};

TEST(Curve, BeginsAsRecorded) { expect_curve("ref", "cpu", Precision::exact, 25, kExact); }
TEST(Curve, OfDoraBeginsAsRecorded) {
  expect_curve("dora_ref", "cpu", Precision::exact, 25, kExact);
}
TEST(Curve, WithAccumulationBeginsAsRecorded) {
  expect_curve("accum4_ref", "cpu", Precision::exact, 3, kExact);
}

TEST(ExhaustiveCurve, IsAsRecorded) {
  expect_curve("ref", "cpu", Precision::exact, 100, kExact);
  expect_curve("dora_ref", "cpu", Precision::exact, 50, kExact);
  expect_curve("accum4_ref", "cpu", Precision::exact, 20, kExact);
}
TEST(ExhaustiveCurve, OfTheReferenceIsAsRecorded) {
  expect_curve("ref", "reference", Precision::exact, 100, kExact);
}
TEST(ExhaustiveCurve, OfFastProductsIsClose) {
  expect_curve("ref", "cpu", Precision::fast, 100,
               {.loss = 2e-2, .held_out = 5e-3, .parameters = 1});
}

}  // namespace
}  // namespace bitaxon::test
