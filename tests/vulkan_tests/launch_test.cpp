// Checks the launches of every case of every op for many kinds of devices. The test needs no real
// device.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "bitaxon/error.h"
#include "cases/op_harness.h"
#include "fabricated.h"
#include "ops/op.h"
#include "support/op_case_params.h"
#include "vulkan/device/floor.h"
#include "vulkan/program/pipeline.h"
#include "vulkan/program/spirv_reflection.h"
#include "vulkan/run/kernel.h"
#include "vulkan/run/recording.h"

namespace bitaxon::test {
namespace {

using namespace vulkan;

/// A backend without a device. It packs weights without storing their bytes.
class NoDevice final : public Backend {
 public:
  const BackendCaps& caps() const override { return caps_; }
  std::shared_ptr<const Weight> pack(const WeightDesc& desc, const WeightParts&) override {
    auto packed = std::make_shared<PackedWeight>();
    packed->desc = desc;
    packed->form = packed_layout(desc).form;
    auto weight = std::make_shared<Weight>();
    weight->shape = {desc.n_matrices, desc.rows, desc.cols};
    weight->packed = std::move(packed);
    return weight;
  }
  std::shared_ptr<const BackendDescription> description() const override {
    return nothing<std::shared_ptr<const BackendDescription>>();
  }
  Buffer allocate(std::size_t, BufferUse) override { return nothing<Buffer>(); }
  void upload(const Buffer&, std::size_t, std::span<const std::byte>) override { nothing<int>(); }
  void download(const Buffer&, std::size_t, std::span<std::byte>) override { nothing<int>(); }
  void copy(std::span<const BufferCopy>) override { nothing<int>(); }
  void finish() override { nothing<int>(); }
  Executable compile(std::shared_ptr<const Plan>, const PlanContext&) override {
    return nothing<Executable>();
  }
  Ticket submit(const Executable&, const StepBuffer&) override { return nothing<Ticket>(); }
  StepResult wait(Ticket) override { return nothing<StepResult>(); }
  StepCounts last_step() const override { return nothing<StepCounts>(); }

 private:
  template <class T>
  static T nothing() {
    throw std::logic_error("there is no device");
  }
  BackendCaps caps_;
};

struct NamedCaps {
  std::string name;
  DeviceCaps caps;
  Precision precision = Precision::exact;
};

DeviceCaps device_of(std::uint32_t min_subgroup, std::uint32_t max_subgroup) {
  DeviceCaps caps = vulkan::test::plain_device(0, DeviceType::discrete);
  caps.subgroup_size = max_subgroup;
  caps.min_subgroup_size = min_subgroup;
  caps.max_subgroup_size = max_subgroup;
  caps.subgroup_size_control = caps.full_subgroups = min_subgroup != max_subgroup;
  caps.max_storage_buffer_bytes = std::uint64_t{128} << 20;
  caps.max_group_count = {65535, 65535, 65535};
  return caps;
}

std::vector<NamedCaps> every_device() {
  std::vector<NamedCaps> all;
  for (const std::uint32_t size : {4U, 8U, 16U, 32U, 64U, 128U})
    all.push_back({fmt::format("subgroup_{}", size), device_of(size, size)});
  for (const auto& [least, most] : {std::pair{8U, 32U}, {32U, 64U}, {4U, 16U}, {64U, 128U}})
    all.push_back({fmt::format("subgroup_{}_to_{}", least, most), device_of(least, most)});
  NamedCaps roomy{"roomy", device_of(32, 32)};
  roomy.caps.max_group_invocations = 1024;
  roomy.caps.max_group_size = {1024, 1024, 64};
  roomy.caps.max_shared_bytes = 49152;
  roomy.caps.max_push_bytes = 256;
  all.push_back(roomy);
  NamedCaps matrices{"matrices", roomy.caps, Precision::fast};
  matrices.caps.matrix_shapes = {{16, 16, 16}, {16, 8, 16}};
  matrices.caps.shader_float16 = matrices.caps.storage_16bit = matrices.caps.memory_model = true;
  matrices.caps.subgroup_size_control = matrices.caps.full_subgroups = true;
  all.push_back(matrices);
  NamedCaps tight{"tight_bindings", device_of(32, 32)};
  tight.caps.max_storage_buffer_bytes = 65536;
  all.push_back(tight);
  return all;
}

/// The interface of a shader that this build has.
const ShaderInterface& interface_of(Shader shader) {
  static std::map<Shader, ShaderInterface> interfaces;
  const auto [place, is_new] = interfaces.try_emplace(shader);
  if (is_new) place->second = reflect(embedded_code(shader));
  return place->second;
}

/// The launches of an op case on one device. The graph of a case has only one node.
class CaseLaunches {
 public:
  CaseLaunches(const OpProblem& problem, const NamedCaps& device)
      : problem_(problem), caps_(device.caps) {
    NoDevice backend;
    graph_ = graph_of(backend, problem);
    scratch_bytes_ = kernel_of(op_of(node())).workspace({*graph_, node()}, caps_);
    LaunchContext context(caps_, {*graph_, node()}, problem.layout(), scratch_bytes_);
    context.precision = device.precision;
    launches_ = kernel_of(op_of(node())).launch(context);
  }

  void check() const {
    EXPECT_FALSE(launches_.empty());
    for (std::size_t i = 0; i < launches_.size(); ++i) {
      SCOPED_TRACE(fmt::format("launch {}: {}", i, name_of(launches_[i].shader)));
      const Launch& launch = launches_[i];
      if (!embedded_code(launch.shader).empty()) {
        EXPECT_EQ(interface_problem(launch, interface_of(launch.shader)), "");
      }
      EXPECT_LE(launch.push_bytes, kMaxPushBytes);
      EXPECT_LE(launch.bindings.size(), kMaxBindings);
      for (const Binding& binding : launch.bindings) check_range(binding);
      check_group_size(launch);
      check_grid(launch);
      check_indirect(i);
      check_scratch_is_written_first(i);
    }
    check_everything_is_written();
  }

 private:
  const Node& node() const { return graph_->nodes()[0]; }

  std::size_t extent_of(const Binding& binding) const {
    if (binding.kind == Binding::Kind::step) return sizeof(StepHeader);
    if (binding.kind == Binding::Kind::scratch) return scratch_bytes_;
    if (binding.kind == Binding::Kind::counters) return binding.size_bytes;
    const Value& value = graph_->value(binding.value);
    if (value.kind == ValueKind::state)
      return problem_.layout().tensors[static_cast<std::size_t>(value.state_index)].size_bytes;
    return static_cast<std::size_t>(value.shape.elements()) * size_of(value.dtype);
  }

  void check_range(const Binding& binding) const {
    EXPECT_GT(binding.size_bytes, 0U);
    EXPECT_EQ(binding.size_bytes % 4, 0U);
    EXPECT_EQ(binding.offset_bytes % 256, 0U);
    EXPECT_LE(binding.offset_bytes + binding.size_bytes, extent_of(binding));
    // If only a piece of a tensor is bound, the piece must be within the device's limit. A tensor
    // that is bound as a whole may exceed the limit, because binding then refuses it.
    if (binding.kind == Binding::Kind::value && binding.size_bytes < extent_of(binding)) {
      EXPECT_LE(binding.size_bytes, caps_.max_storage_buffer_bytes);
    }
  }

  void check_group_size(const Launch& launch) const {
    const auto size = std::ranges::find(launch.specialization, 0U, &SpecConstant::id);
    ASSERT_NE(size, launch.specialization.end());
    EXPECT_LE(size->value, std::max(caps_.max_group_invocations, caps_.max_subgroup_size));
    EXPECT_LE(size->value, std::max(caps_.max_group_size[0], caps_.max_subgroup_size));
    EXPECT_GT(size->value, 0U);
    EXPECT_EQ(size->value % caps_.max_subgroup_size, 0U) << size->value;
  }

  void check_grid(const Launch& launch) const {
    if (!launch.indirect.empty()) return;
    const auto groups = groups_of(launch, {.n_rows = problem_.capacity(RowSpace::rows),
                                           .n_segments = problem_.capacity(RowSpace::segments),
                                           .n_outputs = problem_.capacity(RowSpace::outputs)});
    for (std::size_t axis = 0; axis < 3; ++axis) {
      EXPECT_GT(groups[axis], 0U);
      EXPECT_LE(groups[axis], caps_.max_group_count[axis]);
    }
    for (const GridAxis& axis : launch.grid) EXPECT_GT(axis.rows_per_group, 0U);
  }

  /// Whether the launches before launch `i` write every byte of `range`. The range is in scratch
  /// memory.
  bool written_before(const Binding& range, std::size_t i) const {
    std::size_t end = range.offset_bytes;
    for (std::size_t earlier = 0; earlier < i; ++earlier)
      for (const Binding& binding : launches_[earlier].bindings)
        if (binding.kind == range.kind && binding.access != Access::read &&
            binding.offset_bytes <= end)
          end = std::max(end, binding.offset_bytes + binding.size_bytes);
    return end >= range.offset_bytes + range.size_bytes;
  }
  void check_indirect(std::size_t i) const {
    if (launches_[i].indirect.empty()) return;
    ASSERT_EQ(launches_[i].indirect.size(), 1U);
    const Binding& grid = launches_[i].indirect[0];
    EXPECT_EQ(grid.kind, Binding::Kind::scratch);
    EXPECT_EQ(grid.size_bytes, 12U);
    EXPECT_LE(grid.offset_bytes + grid.size_bytes, scratch_bytes_);
    EXPECT_TRUE(written_before(grid, i));
  }
  void check_scratch_is_written_first(std::size_t i) const {
    // If a variant of a shader does not use a binding, only one word is bound there.
    for (const Binding& binding : launches_[i].bindings)
      if (binding.kind == Binding::Kind::scratch && binding.access == Access::read &&
          binding.size_bytes > 4) {
        EXPECT_TRUE(written_before(binding, i))
            << "scratch " << binding.offset_bytes << " + " << binding.size_bytes;
      }
  }

  /// Checks that the launches can write every byte of each operand that the node writes, and cannot
  /// write any operand that the node only reads.
  void check_everything_is_written() const {
    for (const Operand& operand : node().operands) {
      if (operand.value < 0 || graph_->value(operand.value).shape.elements() == 0) continue;
      std::vector<std::pair<std::size_t, std::size_t>> ranges;
      std::size_t extent = 0;
      for (const Launch& launch : launches_)
        for (const Binding& binding : launch.bindings)
          if (binding.kind == Binding::Kind::value && binding.value == operand.value &&
              binding.access != Access::read) {
            ranges.emplace_back(binding.offset_bytes, binding.offset_bytes + binding.size_bytes);
            extent = extent_of(binding);
          }
      EXPECT_EQ(ranges.empty(), operand.access == Access::read) << "operand " << operand.value;
      // A node may write a part of a tensor that all sequences share.
      const std::int32_t state = graph_->value(operand.value).state_index;
      if (state >= 0 && problem_.is_shared(static_cast<std::size_t>(state))) continue;
      std::ranges::sort(ranges);
      std::size_t end = 0;
      for (const auto& [first, last] : ranges) {
        EXPECT_LE(first, end) << "a gap in operand " << operand.value;
        end = std::max(end, last);
      }
      EXPECT_EQ(end, extent);
    }
  }

  const OpProblem& problem_;
  const DeviceCaps& caps_;
  std::shared_ptr<Graph> graph_;
  std::size_t scratch_bytes_ = 0;
  std::vector<Launch> launches_;
};

class LaunchesOfOp : public testing::TestWithParam<std::string_view> {};

TEST_P(LaunchesOfOp, FitEveryDevice) {
  const auto& all = every_op_case();
  const auto cases = std::ranges::find(all, GetParam(), &OpCases::op);
  ASSERT_NE(cases, all.end());
  const auto devices = every_device();
  for (const OpCase& op_case : cases->cases) {
    const OpProblem problem = problem_of(cases->op, op_case);
    for (const NamedCaps& device : devices) {
      SCOPED_TRACE(fmt::format("{} on {}", op_case.label, device.name));
      EXPECT_EQ(missing_of(device.caps), std::vector<std::string>());
      try {
        CaseLaunches(problem, device).check();
      } catch (const Error& error) {
        // A device may be too small for the shapes of some cases, but not for the shapes of the
        // default model.
        EXPECT_EQ(error.kind(), ErrorKind::unsupported) << error.what();
        EXPECT_TRUE((op_case.tags & kModel) == 0 || device.caps.max_storage_buffer_bytes < 1 << 27)
            << error.what();
      }
      if (HasFailure()) return;  // one failure is enough
    }
  }
}

std::vector<std::string_view> ops() {
  std::vector<std::string_view> names;
  for (const OpCases& cases : every_op_case()) names.push_back(cases.op);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Every, LaunchesOfOp, testing::ValuesIn(ops()),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace bitaxon::test
