// A backend that wraps another backend. It records the packed weights as numbers. It can also fill
// memory with NaN.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "core/backend_description.h"
#include "formats/weight_format.h"

namespace bitaxon::test {

struct CapturedWeight {
  Shape shape;                ///< has the form [n_matrices, rows, cols]
  std::vector<float> values;  ///< the decoded values
};
using CapturedWeights = std::map<std::string, CapturedWeight>;

/// A description in which a test can change memory and limits.
struct ChangedDescription final : public BackendDescription {
  explicit ChangedDescription(std::shared_ptr<const BackendDescription> description)
      : inner(std::move(description)), kinds(inner->memory()) {}

  std::shared_ptr<const BackendDescription> inner;
  std::vector<MemoryKind> kinds;
  std::uint64_t buffer_limit = UINT64_MAX;
  /// The problem that the description reports for every state tensor. Empty: no problem.
  std::string state_problem;

  std::vector<MemoryKind> memory() const override { return kinds; }
  bool always_exact() const override { return inner->always_exact(); }
  std::shared_ptr<const Weight> describe(const WeightDesc& desc) const override {
    return inner->describe(desc);
  }
  std::size_t workspace(const NodeView& node) const override { return inner->workspace(node); }
  std::optional<std::size_t> joint_workspace(const NodeView& first,
                                             const NodeView& second) const override {
    return inner->joint_workspace(first, second);
  }
  std::uint64_t allocated_bytes(std::span<const std::uint64_t> sizes) const override {
    return inner->allocated_bytes(sizes);
  }
  std::uint64_t max_buffer_bytes() const override { return buffer_limit; }
  std::string problem_of(const WeightDesc& desc) const override { return inner->problem_of(desc); }
  std::string problem_of(const StateTensor&) const override { return state_problem; }
  std::string problem_of(const Plan& plan) const override { return inner->problem_of(plan); }
};

class WrappedBackend final : public Backend {
 public:
  /// If `poison` is set, all memory is filled with NaN (0xFF bytes) when it is allocated, and the
  /// memory of activations also before each step. A step that reads a value before it writes the
  /// value thus reads NaN.
  explicit WrappedBackend(std::shared_ptr<Backend> inner, bool poison = false)
      : inner_(std::move(inner)), poison_(poison) {}

  /// Changes the description of the device.
  std::function<void(ChangedDescription&)> change_description;
  /// Called before each allocation. It may throw, as a backend without memory does.
  std::function<void(std::size_t size_bytes, BufferUse use)> before_allocation;
  /// Changes the bytes of every download.
  std::function<void(std::span<std::byte>)> change_download;
  /// Take the place of the inner backend's rates and counts.
  std::optional<DeviceRates> rates = {};
  std::optional<StepCounts> counts = {};

  const CapturedWeights& captured() const { return captured_; }
  int n_allocated() const { return n_allocated_; }  ///< number of allocated buffers
  void forget() {
    captured_.clear();
    n_allocated_ = 0;
  }
  int n_compiled() const { return n_compiled_; }
  int n_submitted() const { return n_submitted_; }

  const BackendCaps& caps() const override { return inner_->caps(); }
  std::shared_ptr<const BackendDescription> description() const override {
    const auto changed = std::make_shared<ChangedDescription>(inner_->description());
    if (change_description) change_description(*changed);
    return changed;
  }
  Buffer allocate(std::size_t size_bytes, BufferUse use) override {
    if (before_allocation) before_allocation(size_bytes, use);
    Buffer buffer = inner_->allocate(size_bytes, use);
    ++n_allocated_;
    if (poison_) fill(buffer);
    if (use == BufferUse::activations) activations_.push_back(buffer);
    return buffer;
  }
  void upload(const Buffer& buffer, std::size_t offset, std::span<const std::byte> from) override {
    inner_->upload(buffer, offset, from);
  }
  void download(const Buffer& buffer, std::size_t offset, std::span<std::byte> to) override {
    inner_->download(buffer, offset, to);
    if (change_download) change_download(to);
  }
  void copy(std::span<const BufferCopy> copies) override { inner_->copy(copies); }
  void finish() override { inner_->finish(); }
  std::shared_ptr<const Weight> pack(const WeightDesc& desc, const WeightParts& parts) override {
    CapturedWeight& weight = captured_[desc.name];
    weight.shape = {desc.n_matrices, desc.rows, desc.cols};
    weight.values.resize(static_cast<std::size_t>(desc.elements()));
    decode(desc, parts, 0, weight.values);
    return inner_->pack(desc, parts);
  }
  Executable compile(std::shared_ptr<const Plan> plan, const PlanContext& context) override {
    ++n_compiled_;
    return inner_->compile(std::move(plan), context);
  }
  Ticket submit(const Executable& executable, const StepBuffer& step) override {
    ++n_submitted_;
    if (poison_)
      for (const Buffer& buffer : activations_) fill(buffer);
    return inner_->submit(executable, step);
  }
  StepResult wait(Ticket ticket) override { return inner_->wait(ticket); }
  StepCounts last_step() const override { return counts ? *counts : inner_->last_step(); }
  DeviceRates measure_rates() override { return rates ? *rates : inner_->measure_rates(); }

 private:
  void fill(const Buffer& buffer) {
    inner_->upload(buffer, 0, std::vector<std::byte>(buffer.size_bytes, std::byte{0xff}));
  }

  std::shared_ptr<Backend> inner_;
  bool poison_;
  CapturedWeights captured_;
  int n_compiled_ = 0;
  int n_submitted_ = 0;
  int n_allocated_ = 0;
  std::vector<Buffer> activations_;
};

}  // namespace bitaxon::test
