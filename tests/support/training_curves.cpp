#include "support/training_curves.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "bitaxon/model_files.h"
#include "bitaxon/tokenizer.h"
#include "formats/json_file.h"
#include "support/source_tree.h"
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

/// A recorded run.
class CurveRun {
 public:
  CurveRun(const std::string& name, const std::string& format, std::shared_ptr<Backend> backend,
           Precision precision)
      : curve_(read_json_file(curve_dir() / (name + ".json"))),
        windows_(windows()),
        tuner_(base(format), std::move(backend), options(precision)) {
    tuner_.write(ParameterVector::value,
                 read_parameters(tuner_, curve_dir() / (name + ".init.safetensors")));
    optimizer_.learning_rate = curve_.at("lr").get<double>();
    optimizer_.warmup_steps = curve_.at("warmup").get<std::int64_t>();
    optimizer_.max_steps = curve_.at("steps").get<std::int64_t>();
  }

  UpdateResult update() {
    const auto accumulation = curve_.at("accum").get<std::size_t>();
    const std::size_t n_train = windows_.size() - kHeldOut;
    std::vector<TrainSequence> batch;
    for (std::size_t i = 0; i < accumulation; ++i)
      batch.push_back(windows_[(n_updates_ * accumulation + i) % n_train]);
    ++n_updates_;
    return tuner_.update(batch, optimizer_);
  }
  double held_out() { return tuner_.evaluate(std::span(windows_).last(kHeldOut)).mean(); }
  /// What was recorded for the latest update.
  const Json& expected() const { return curve_.at("log").at(n_updates_); }
  bool is_complete() const { return n_updates_ == static_cast<std::size_t>(optimizer_.max_steps); }
  const Tuner& tuner() const { return tuner_; }

 private:
  static BaseModel base(const std::string& format) {
    std::vector<std::string> warnings;
    return BaseModel::of_files(model_files(bundled_model_dir()), format, warnings);
  }
  TunerOptions options(Precision precision) const {
    TunerOptions options;
    options.precision = precision;
    options.max_tokens = kWindow;
    options.adapter.kind = curve_.at("dora") == "none" ? AdapterKind::lora : AdapterKind::dora;
    options.adapter.scale = curve_.at("scale").get<double>();
    return options;
  }

  Json curve_;
  std::vector<TrainSequence> windows_;
  Tuner tuner_;
  OptimizerSettings optimizer_;
  std::size_t n_updates_ = 0;
};

}  // namespace

void expect_curve(const std::string& name, std::shared_ptr<Backend> backend, Precision precision,
                  std::size_t n_updates, const CurveBounds& bounds) {
  CurveRun run(name, "", std::move(backend), precision);
  for (std::size_t u = 1; u <= n_updates; ++u) {
    const UpdateResult result = run.update();
    const Json& expected = run.expected();
    ASSERT_NEAR(result.loss, expected.at("loss").get<double>(), bounds.loss) << "update " << u;
    EXPECT_NEAR(result.learning_rate, expected.at("lr").get<double>(), 1e-12);
    if (expected.contains("eval")) {
      EXPECT_NEAR(run.held_out(), expected.at("eval").get<double>(), bounds.held_out)
          << "update " << u;
    }
  }
  if (!run.is_complete()) return;
  EXPECT_LE(relative_l2(run.tuner().read(ParameterVector::value),
                        read_parameters(run.tuner(), curve_dir() / (name + ".final.safetensors"))),
            bounds.parameters);
}

double held_out_loss(const std::string& format, std::shared_ptr<Backend> backend,
                     std::size_t n_updates) {
  CurveRun run("ref", format, std::move(backend), Precision::exact);
  for (std::size_t u = 0; u < n_updates; ++u) run.update();
  return run.held_out();
}

}  // namespace bitaxon::test
