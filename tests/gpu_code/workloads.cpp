#include "gpu_code/workloads.h"

#include <fmt/format.h>

#include "bitaxon/error.h"
#include "cases/op_harness.h"
#include "core/state_layout.h"
#include "model/memory_need.h"
#include "model/state_pool.h"
#include "model/step_graph.h"
#include "support/golden_cases.h"
#include "support/training_cases.h"
#include "support/tuners.h"
#include "vulkan/description.h"
#include "vulkan/device/tile_choice.h"
#include "vulkan/run/recording.h"

namespace bitaxon::gpu_code {
namespace {

struct StepPlan {
  std::shared_ptr<const Plan> plan;
  StateLayout layout;
};

/// The device once for each variant of its products in this precision that can be chosen.
std::vector<vulkan::DeviceCaps> variants_of(const vulkan::DeviceCaps& caps, Precision precision) {
  if (precision == Precision::exact) return {caps};
  std::vector<vulkan::DeviceCaps> variants;
  for (const vulkan::TileVariant& variant : vulkan::tile_variants(caps)) {
    variants.push_back(caps);
    variants.back().matrix_tile = variant.matrix_tile;
    variants.back().float16_tiles = variant.float16_tiles;
  }
  return variants;
}

StepPlan plan_step(const BaseModel& model, const StepKind& kind, Precision precision,
                   const vulkan::DeviceCaps& caps) {
  const auto device = vulkan::describe_device(caps);
  const std::int64_t context = std::min<std::int64_t>(model.spec.max_seq_len, 32768);
  const Weights weights = model.described(*device, context);
  StateIndex index;
  StepPlan made;
  made.layout = state_layout(
      model.spec,
      {.kv_dtype = precision == Precision::exact ? DType::f32 : DType::f16, .context = context},
      index);
  made.plan = schedule(record_step(kind, model.spec, weights, made.layout, index).graph, *device);
  return made;
}

void list_op_cases(const test::OpCases& cases, bool brief,
                   const std::vector<vulkan::DeviceCaps>& devices, const DeviceLaunchSink& sink) {
  for (const test::OpCase& op_case : cases.cases) {
    if (brief && (op_case.tags & test::kExhaustive) != 0) continue;
    // The numbers of a problem take most of the time, so all devices share them.
    const test::OpProblem problem = test::problem_of(cases.op, op_case);
    for (std::size_t k = 0; k < devices.size(); ++k) {
      ListingBackend backend(devices[k], [](const auto&) {});
      const auto plan = schedule(test::graph_of(backend, problem), *backend.description());
      for (const Precision precision : {Precision::exact, Precision::fast})
        for (const vulkan::DeviceCaps& caps : variants_of(devices[k], precision))
          sink(k, gpu_code::launches_of(*plan, problem.layout(), precision, caps));
    }
  }
}

/// The kinds of steps of a model: every size of a bucket, with a drawn token, with logits, and with
/// the outputs of layers.
std::vector<StepKind> step_kinds() {
  const SamplerParams drawn{.temperature = 1, .repetition_penalty = 2};
  std::vector<StepKind> kinds;
  for (std::int64_t n_rows = 1; n_rows <= kMaxRows; n_rows *= 2) {
    for (const SamplerParams& sampler : {SamplerParams{}, drawn}) {
      StepDemand demand;
      demand.add(n_rows, StepOutput::token, sampler);
      kinds.push_back(kind_of(demand, false));
    }
    StepDemand logits;
    logits.add(n_rows, StepOutput::all_logits, {});
    kinds.push_back(kind_of(logits, true));
    // Several sequences in one step.
    if (n_rows == 1 || n_rows * 4 > kMaxRows) continue;
    StepDemand together;
    for (int g = 0; g < 4; ++g) together.add(n_rows, StepOutput::token, drawn);
    kinds.push_back(kind_of(together, false));
  }
  return kinds;
}

void list_model(const std::filesystem::path& folder, const vulkan::DeviceCaps& caps,
                const LaunchSink& sink) {
  std::vector<std::string> warnings;
  const BaseModel model = BaseModel::of_files(model_files(folder), "", warnings);
  for (const StepKind& kind : step_kinds())
    for (const Precision precision : {Precision::exact, Precision::fast}) {
      const StepPlan made = plan_step(model, kind, precision, caps);
      for (const vulkan::DeviceCaps& variant : variants_of(caps, precision))
        sink(gpu_code::launches_of(*made.plan, made.layout, precision, variant));
    }
}

void list_training(const std::filesystem::path& folder, const vulkan::DeviceCaps& caps,
                   const LaunchSink& sink) {
  const test::TrainingCase recorded(folder);
  for (const Precision precision : {Precision::exact, Precision::fast})
    for (const char* form : {"inside", "outside"}) {
      TunerOptions options = recorded.options(form);
      options.precision = precision;
      const auto tuner = recorded.tuner(std::make_shared<ListingBackend>(caps, sink), options);
      tuner->update(recorded.sequences(), test::no_change());
      tuner->evaluate(recorded.sequences());
      if (!recorded.is_orpo()) break;
    }
}

}  // namespace

std::vector<StepLaunch> step_launches(const BaseModel& model, const ModelStep& step,
                                      Precision precision, const vulkan::DeviceCaps& caps) {
  StepDemand demand;
  demand.add(step.n_rows, StepOutput::token, {});
  const StepPlan made = plan_step(model, kind_of(demand, false), precision, caps);
  const StepSizes sizes{
      .n_rows = step.n_rows, .n_segments = 1, .n_outputs = 1, .position = step.position};
  std::vector<StepLaunch> launches;
  std::size_t node = std::size_t(-1);
  for (ListedLaunch& listed : gpu_code::launches_of(*made.plan, made.layout, precision, caps)) {
    StepLaunch& added = launches.emplace_back();
    added.groups = vulkan::groups_of(listed.launch, sizes);
    if (listed.node != node)
      made.plan->visit_joined(listed.node,
                              [&](const NodeView& one) { added.cost += cost_of(one, sizes); });
    node = listed.node;
    added.listed = std::move(listed);
  }
  return launches;
}

std::vector<ListedLaunch> decode_launches(const BaseModel& model, int n_sequences,
                                          Precision precision, const vulkan::DeviceCaps& caps) {
  StepDemand demand;
  for (int i = 0; i < n_sequences; ++i) demand.add(1, StepOutput::token, {.temperature = 1});
  const StepPlan made = plan_step(model, kind_of(demand, false), precision, caps);
  return gpu_code::launches_of(*made.plan, made.layout, precision, caps);
}

/// A workload whose plans are made for each device anew.
Workload for_each_device(std::string name, std::filesystem::path folder,
                         void (*list)(const std::filesystem::path&, const vulkan::DeviceCaps&,
                                      const LaunchSink&)) {
  return {std::move(name),
          [folder = std::move(folder), list](const std::vector<vulkan::DeviceCaps>& devices,
                                             const DeviceLaunchSink& sink) {
            for (std::size_t k = 0; k < devices.size(); ++k)
              list(folder, devices[k],
                   [&](std::vector<ListedLaunch> launches) { sink(k, std::move(launches)); });
          }};
}

std::vector<Workload> every_workload(bool brief) {
  std::vector<Workload> all;
  for (const test::OpCases& cases : test::every_op_case())
    all.push_back({fmt::format("op cases of {}", cases.op),
                   [&cases, brief](const std::vector<vulkan::DeviceCaps>& devices,
                                   const DeviceLaunchSink& sink) {
                     list_op_cases(cases, brief, devices, sink);
                   }});
  std::vector<std::filesystem::path> folders = test::golden_case_folders();
  for (const auto& folder : test::family_case_folders()) folders.push_back(folder);
  for (const auto& folder : folders) {
    // One recorded case is of the bundled model.
    const bool has_model = std::filesystem::exists(folder / "config.json");
    all.push_back(for_each_device(fmt::format("model {}", folder.filename().string()),
                                  has_model ? folder : test::bundled_model_dir(), list_model));
  }
  for (const auto& folder : test::training_case_folders())
    all.push_back(for_each_device(fmt::format("training {}", folder.filename().string()), folder,
                                  list_training));
  return all;
}

}  // namespace bitaxon::gpu_code
