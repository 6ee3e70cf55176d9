// Recorded cases of the original program's training: losses and gradients of whole models.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/json.h"
#include "training/tuner.h"

namespace bitaxon::test {

/// The folders below `root` that hold a case of a whole model: in the source tree, and in
/// $BITAXON_TRAINING_CASES if it is set.
std::vector<std::filesystem::path> training_case_folders();

/// A recorded case.
class TrainingCase {
 public:
  explicit TrainingCase(const std::filesystem::path& folder);

  const Json& description() const { return json_; }
  std::string name() const { return folder_.filename().string(); }
  /// Options for the case's adapter. `form` is "", or the form of ORPO's penalty.
  TunerOptions options(const std::string& form) const;
  /// The model with the case's adapter.
  std::unique_ptr<Tuner> tuner(std::shared_ptr<Backend> backend, const TunerOptions& options) const;
  /// The recorded masks of dropout, in the form of Tuner::write_masks(). Empty without dropout.
  std::vector<float> masks(const Tuner& tuner) const;
  /// The sequences of the case: its rows, or chosen and rejected texts in turn.
  std::vector<TrainSequence> sequences() const;
  bool is_orpo() const { return json_.contains("beta"); }

  std::vector<float> recorded(const std::string& name) const;
  /// The gradients in `file`, as one vector in the order of the parameters. `prefix` begins their
  /// names.
  std::vector<float> gradients(const Tuner& tuner, const std::string& file,
                               const std::string& prefix) const;

 private:
  std::vector<TrainSequence> rows(const std::string& prefix,
                                  const std::vector<std::int64_t>& lengths) const;

  std::filesystem::path folder_;
  Json json_;
};

/// The parameters of the adapter in a safetensors file, as one vector.
std::vector<float> read_parameters(const Tuner& tuner, const std::filesystem::path& file,
                                   const std::string& prefix = "");

/// Compares loss and gradients of a case with the float64 reference and with the recorded numbers.
struct TrainingBounds {
  double loss = 0;               ///< relative
  double gradient = 0;           ///< relative L2 of each tensor against float64
  double recorded_gradient = 0;  ///< against the recorded float32 numbers
};
void expect_case(const TrainingCase& recorded, std::shared_ptr<Backend> backend,
                 const TrainingBounds& bounds, Precision precision = Precision::exact);

}  // namespace bitaxon::test
