// Layers with the weights of recorded files, on any device.
#pragma once

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bitaxon/devices.h"
#include "eager/attention_layer.h"
#include "eager/ssm_layer.h"
#include "op_tests/step_session.h"
#include "support/tensors.h"

namespace bitaxon::test {

/// The device of the tests on the CPU.
inline std::shared_ptr<EagerDevice> cpu_device() {
  static const auto device =
      std::make_shared<EagerDevice>(open_device("cpu", {.n_threads = 1}).backend);
  return device;
}

class RecordedSsm {
 public:
  explicit RecordedSsm(const std::shared_ptr<EagerDevice>& device)
      : file_(Checkpoint::open(golden_dir() / "ops" / "ssm.safetensors")) {
    const StoredShape in_proj = info_of(file_, "w.in_proj.weight").shape;
    d_model = in_proj[1];
    const std::int64_t e = in_proj[0] / 2;
    const std::int64_t n = info_of(file_, "w.A_log").shape[1];
    const std::int64_t k = info_of(file_, "w.conv1d.weight").shape[1];
    const auto weight = [&](const std::string& name, const Shape& shape) {
      return packed_weight(device->backend(), file_, "w." + name, shape);
    };
    layer = std::make_unique<SsmLayer>(
        device,
        SsmWeights{.in_proj = weight("in_proj.weight", {1, 2 * e, d_model}),
                   .conv_weight = weight("conv1d.weight", {1, e, k}),
                   .conv_bias = weight("conv1d.bias", {1, 1, e}),
                   .x_proj = weight("x_proj.weight", {1, 2 * n + 1, e}),
                   .dt_weight = weight("dt_proj.weight", {1, e, 1}),
                   .dt_bias = weight("dt_proj.bias", {1, 1, e}),
                   .a_log = weight("A_log", {1, e, n}),
                   .skip = weight("D", {1, 1, e}),
                   .out_proj = weight("out_proj.weight", {1, d_model, e})},
        TimeStepClip{1e-4F, 100});
  }
  std::vector<float> recorded(const std::string& name) const { return read_f32(file_, name); }
  std::int64_t rows(std::span<const float> x) const {
    return static_cast<std::int64_t>(x.size()) / d_model;
  }

  std::int64_t d_model = 0;
  std::unique_ptr<SsmLayer> layer;

 private:
  Checkpoint file_;
};

inline constexpr std::size_t kHeads = 4;

/// Keys or values of one sequence, [H, n, d], that grow at the end of every head.
class Heads {
 public:
  std::span<const float> values() const { return values_; }
  void append(std::span<const float> more) {
    std::vector<float> next;
    const std::size_t old_size = values_.size() / kHeads, new_size = more.size() / kHeads;
    for (std::size_t h = 0; h < kHeads; ++h) {
      const auto old_head = std::span<const float>(values_).subspan(h * old_size, old_size);
      const auto new_head = more.subspan(h * new_size, new_size);
      next.insert(next.end(), old_head.begin(), old_head.end());
      next.insert(next.end(), new_head.begin(), new_head.end());
    }
    values_ = std::move(next);
  }

 private:
  std::vector<float> values_;
};

class RecordedAttention {
 public:
  RecordedAttention(const std::shared_ptr<EagerDevice>& device, std::int64_t window)
      : file_(Checkpoint::open(golden_dir() / "ops" / "swa_window.safetensors")) {
    width = static_cast<std::size_t>(info_of(file_, "x").shape[1]);
    const auto weight = [&](const char* which) {
      const auto n = static_cast<std::int64_t>(width);
      return packed_weight(device->backend(), file_, std::string("w.") + which + "_proj.weight",
                           {1, n, n});
    };
    layer = std::make_unique<AttentionLayer>(
        device, AttentionWeights{weight("q"), weight("k"), weight("v"), weight("o")},
        AttentionForm{.n_heads = kHeads, .n_kv_heads = kHeads, .window = window});
  }
  std::vector<float> recorded(const std::string& name) const { return read_f32(file_, name); }

  /// Feeds x in pieces of `piece` rows. Keys and values stay with the caller, as in Python.
  std::vector<float> run(std::span<const float> x, std::size_t piece) {
    Heads keys, values;
    std::vector<float> y;
    for (std::size_t at = 0; at < x.size(); at += piece * width) {
      const auto rows = x.subspan(at, std::min(piece * width, x.size() - at));
      const auto result =
          layer->run(1, static_cast<std::int64_t>(rows.size() / width), rows,
                     {.n_rows = static_cast<std::int64_t>(keys.values().size() / width),
                      .keys = keys.values(),
                      .values = values.values()});
      y.insert(y.end(), result.y.begin(), result.y.end());
      keys.append(result.keys);
      values.append(result.values);
    }
    return y;
  }

  std::size_t width = 0;
  std::unique_ptr<AttentionLayer> layer;

 private:
  Checkpoint file_;
};

}  // namespace bitaxon::test
