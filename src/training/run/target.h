// What a training run needs of the model that it trains. Tests replace the model.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "training/tuner.h"

namespace bitaxon {

/// The functions of a Tuner that a run calls. They mean what the functions of Tuner mean.
struct TrainingTarget {
  std::span<const ParameterRange> parameters;
  std::function<UpdateResult(std::span<const TrainSequence>, const OptimizerSettings&,
                             const std::function<void()>& before_part)>
      update;
  std::function<LossSum(std::span<const TrainSequence>, const std::function<void()>& before_part)>
      evaluate;
  std::function<std::vector<float>(ParameterVector)> read;
  std::function<void(ParameterVector, std::span<const float>)> write;
  std::function<std::int64_t()> n_updates;
  std::function<void(std::int64_t)> set_n_updates;
};

}  // namespace bitaxon
