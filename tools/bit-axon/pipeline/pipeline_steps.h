// The steps of a pipeline: each runs a command of the program, or makes the files that the next
// command reads.
//
//   stage          steps            makes
//   1 SFT          base             base/        random weights, without --model
//                  sft-data         data/sft.jsonl
//                  orpo-data        data/orpo.jsonl
//                  orpo-check                    whether stage 6 can train on them
//                  sft              sft/         the folder of a training run
//   2 merge        merged           merged/
//   3 quantize     quantized        quantized/
//   4 perplexity   perplexity
//   5 generation   generation
//   6 ORPO         orpo             orpo/        an adapter of merged/
//   7 final model  aligned          aligned/     floats
//                  final            final/       aligned/ in 4 bits
//                  final-perplexity
//   8 upload       upload REPO                   with --repo-id
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "formats/json.h"
#include "pipeline/pipeline_flags.h"

namespace bitaxon::tool {

inline constexpr int kStages = 8;
std::string_view stage_name(int stage);

struct Step {
  int stage = 0;
  std::string name;
  /// The words of a command.
  std::vector<std::string> words = {};
  /// What the step does in place of a command, as one line, and the work. The work returns false if
  /// it was interrupted.
  std::string what = {};
  std::function<bool(const std::atomic<bool>& interrupted)> work = {};
  /// The model folder that the step makes, in one go. If it is there, the step was done.
  std::filesystem::path makes = {};
  /// The numbers of the command's report.
  std::function<Json(const Json& report)> metrics = {};
};

/// What the first stage trains.
struct PipelineBase {
  std::string model;              ///< as typed; empty for random weights
  std::string repository;         ///< the hub id of `model`; empty for other models
  std::filesystem::path weights;  ///< its file
};

/// All steps in their order. `flags` are checked.
std::vector<Step> pipeline_steps(const PipelineFlags& flags, const PipelineBase& base);

/// The files and folders that a pipeline makes, by name.
Json pipeline_artifacts(const PipelineFlags& flags, const PipelineBase& base);

}  // namespace bitaxon::tool
