// Single layers on arrays. The classes and functions here take arrays in C order of exactly the
// documented type; the Python modules bit_axon/layers and bit_axon/quantization check and convert
// what users pass.
#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
#include <unistd.h>

#include <optional>
#include <tuple>

#include "arrays.h"
#include "bitaxon/devices.h"
#include "bitaxon/error.h"
#include "bytes.h"
#include "eager/attention_layer.h"
#include "eager/row_layer.h"
#include "eager/ssm_layer.h"
#include "formats/weight_format.h"
#include "loaded_model.h"
#include "parts.h"
#include "platform/job_queue.h"
#include "waiting.h"

namespace nb = nanobind;

namespace bitaxon::python {
namespace {

using Floats = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using FloatsOut = nb::ndarray<nb::numpy, float>;

std::span<const std::byte> optional_bytes(const std::optional<Bytes>& array) {
  return array ? bytes_of(*array) : std::span<const std::byte>();
}
/// The job of a call may live longer than the arrays of the call, so it has copies.
std::vector<float> copy_of(const Floats& array) {
  const Unlocked unlocked;
  return {array.data(), array.data() + array.size()};
}
FloatsOut to_numpy(std::vector<float> values) {
  const std::size_t n = values.size();
  return to_array(std::move(values), {n});
}

/// A device with a thread that computes, so that the thread of Python can look for signals.
class Device {
 public:
  Device(const std::string& selector, int n_threads) {
    const Unlocked unlocked;
    backend_ = open_device(selector, {.n_threads = n_threads}).backend;
    device_ = std::make_shared<EagerDevice>(backend_);
    queue_ = std::make_shared<JobQueue>();
  }
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  ~Device() {
    // A child process has none of the threads, so it must not wait for them.
    if (::getpid() != pid_) forget();
  }

  const std::shared_ptr<EagerDevice>& eager() const { return device_; }
  std::string name() const { return device_->backend().caps().name; }

  /// Runs `work` on the thread of the device, with the device locked, and waits for its result.
  /// Signals are handled meanwhile. If a handler raises, the call ends and the work ends before its
  /// next step.
  template <class Work>
  auto run(Work work) {
    using Result = decltype(work());
    auto result = std::make_shared<std::optional<Result>>();
    const auto job = queue_->post([result, device = device_, work = std::move(work)](
                                      const std::atomic<bool>& cancelled) mutable {
      device->set_cancelled(&cancelled);
      try {
        *result = work();
      } catch (...) {
        device->set_cancelled(nullptr);
        throw;
      }
      device->set_cancelled(nullptr);
    });
    wait_for(*job);
    return std::move(**result);
  }

  /// Cancels the work of the device and waits until it is idle. For the end of the interpreter.
  void drain() {
    if (::getpid() != pid_) return;
    queue_->cancel_all();
    queue_->post([](const std::atomic<bool>&) {})->wait();
  }

  /// Drops a weight or a layer without waiting for the device.
  void drop(std::shared_ptr<const void> object) {
    if (::getpid() == pid_)
      device_->drop(std::move(object));
    else
      new std::shared_ptr<const void>(std::move(object));
  }

 private:
  void forget() {
    new std::shared_ptr<Backend>(backend_);
    new std::shared_ptr<EagerDevice>(device_);
    new std::shared_ptr<JobQueue>(queue_);
  }

  pid_t pid_ = ::getpid();
  std::shared_ptr<Backend> backend_;
  std::shared_ptr<EagerDevice> device_;
  std::shared_ptr<JobQueue> queue_;
  Drained drained_{[this] { drain(); }};
};

/// An object of the engine, with the device that it is dropped on.
template <class T>
struct OnDevice {
  OnDevice(std::shared_ptr<Device> owner, std::shared_ptr<T> made)
      : device(std::move(owner)), object(std::move(made)) {}
  OnDevice(OnDevice&&) = default;
  OnDevice& operator=(OnDevice&&) = delete;
  ~OnDevice() {
    if (object != nullptr) device->drop(std::move(object));
  }

  std::shared_ptr<Device> device;
  std::shared_ptr<T> object;
};
using PackedWeight = OnDevice<const Weight>;
using Rows = OnDevice<RowLayer>;
using Ssm = OnDevice<SsmLayer>;
using Attention = OnDevice<AttentionLayer>;

DType dtype_of(const std::string& name) {
  const auto dtype = dtype_named(name);
  if (!dtype || !is_float(*dtype))
    throw Error(ErrorKind::invalid_argument, "dtype: expected F32, F16 or BF16, got " + name);
  return *dtype;
}

WeightHandle handle_of(const PackedWeight* weight) {
  return weight == nullptr ? nullptr : weight->object;
}

void check_size(const WeightDesc& desc, const char* part, std::size_t got, std::uint64_t expected) {
  if (got != expected)
    throw Error(ErrorKind::invalid_argument,
                fmt::format("{}: expected {} bytes of {}, got {}", desc.name, expected, part, got));
}

/// Packs a dense weight, or with scales a weight of affine codes.
PackedWeight pack(const std::shared_ptr<Device>& device, const std::string& name,
                  std::tuple<std::int64_t, std::int64_t, std::int64_t> shape,
                  const std::string& dtype, const Bytes& data, const std::optional<Bytes>& scales,
                  const std::optional<Bytes>& biases, std::int64_t group_size, int bits) {
  WeightDesc desc;
  desc.name = name;
  std::tie(desc.n_matrices, desc.rows, desc.cols) = shape;
  desc.dtype = desc.bias_dtype = dtype_of(dtype);
  if (scales) {
    desc.format = WeightFormat::affine;
    desc.group_size = group_size;
    desc.bits = bits;
    if (group_size < 1 || desc.cols % group_size != 0)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("{}: expected groups that divide {} columns, got {}", name, desc.cols,
                              group_size));
  }
  const WeightParts parts{
      .data = bytes_of(data), .scales = optional_bytes(scales), .biases = optional_bytes(biases)};
  const PartBytes expected = part_bytes(desc);
  check_size(desc, "data", parts.data.size(), expected.data);
  check_size(desc, "scales", parts.scales.size(), expected.scales);
  check_size(desc, "biases", parts.biases.size(), expected.biases);
  const Unlocked unlocked;
  const auto lock = device->eager()->lock();
  return {device, device->eager()->backend().pack(desc, parts)};
}

FloatsOut run_rows(Rows& layer, std::int64_t n_rows, const std::vector<Bytes>& inputs) {
  std::vector<std::vector<std::byte>> copies;
  {
    const Unlocked unlocked;
    for (const Bytes& input : inputs) {
      const auto bytes = bytes_of(input);
      copies.emplace_back(bytes.begin(), bytes.end());
    }
  }
  return to_numpy(layer.device->run([object = layer.object, n_rows, copies = std::move(copies)] {
    const std::vector<std::span<const std::byte>> spans(copies.begin(), copies.end());
    return object->run(n_rows, spans);
  }));
}

nb::tuple run_ssm(Ssm& layer, std::int64_t n_sequences, std::int64_t n_rows, const Floats& x,
                  const std::optional<Floats>& tail, const std::optional<Floats>& h) {
  std::optional<SsmState> state;
  if (tail || h)
    state = SsmState{tail ? copy_of(*tail) : std::vector<float>(),
                     h ? copy_of(*h) : std::vector<float>()};
  auto [y, next] = layer.device->run([object = layer.object, n_sequences, n_rows, x = copy_of(x),
                                      state = std::move(state)]() mutable {
    auto rows = object->run(n_sequences, n_rows, x, state);
    return std::pair(std::move(rows), std::move(*state));
  });
  return nb::make_tuple(to_numpy(std::move(y)), to_numpy(std::move(next.tail)),
                        to_numpy(std::move(next.h)));
}

nb::tuple run_attention(Attention& layer, std::int64_t n_sequences, std::int64_t n_rows,
                        const Floats& x, std::int64_t n_cached, const Floats& keys,
                        const Floats& values) {
  auto result = layer.device->run([object = layer.object, n_sequences, n_rows, x = copy_of(x),
                                   n_cached, keys = copy_of(keys), values = copy_of(values)] {
    return object->run(n_sequences, n_rows, x,
                       {.n_rows = n_cached, .keys = keys, .values = values});
  });
  return nb::make_tuple(to_numpy(std::move(result.y)), to_numpy(std::move(result.keys)),
                        to_numpy(std::move(result.values)));
}

FeedForwardWeights feed_forward_of(const PackedWeight* gate, const PackedWeight* up,
                                   const PackedWeight* down) {
  return {handle_of(gate), handle_of(up), handle_of(down)};
}

using Owner = std::shared_ptr<Device>;

void add_row_layers(nb::module_& module) {
  nb::class_<Rows>(module, "RowLayer").def("run", run_rows, nb::arg("n_rows"), nb::arg("inputs"));
  module.def(
      "linear_layer",
      [](const Owner& device, const PackedWeight& weight, const PackedWeight* bias) {
        return Rows(device, linear_layer(device->eager(), weight.object, handle_of(bias)));
      },
      nb::arg("device"), nb::arg("weight"), nb::arg("bias").none());
  module.def("norm_layer", [](const Owner& device, const PackedWeight& weight, float eps) {
    std::shared_ptr<RowLayer> made;
    {
      const Unlocked unlocked;  // this layer packs a weight of its own
      made = norm_layer(device->eager(), weight.object, eps);
    }
    return Rows(device, std::move(made));
  });
  module.def("feed_forward_layer", [](const Owner& device, const PackedWeight& gate,
                                      const PackedWeight& up, const PackedWeight& down) {
    return Rows(device, feed_forward_layer(device->eager(), feed_forward_of(&gate, &up, &down)));
  });
  module.def(
      "experts_layer",
      [](const Owner& device, const PackedWeight& router, const PackedWeight& gate,
         const PackedWeight& up, const PackedWeight& down, const PackedWeight* shared_router,
         const PackedWeight* shared_gate, const PackedWeight* shared_up,
         const PackedWeight* shared_down, std::int64_t top_k) {
        return Rows(device,
                    experts_layer(device->eager(),
                                  {.router = router.object,
                                   .experts = feed_forward_of(&gate, &up, &down),
                                   .shared_gate = handle_of(shared_router),
                                   .shared = feed_forward_of(shared_gate, shared_up, shared_down)},
                                  top_k));
      },
      nb::arg("device"), nb::arg("router"), nb::arg("gate"), nb::arg("up"), nb::arg("down"),
      nb::arg("shared_router").none(), nb::arg("shared_gate").none(), nb::arg("shared_up").none(),
      nb::arg("shared_down").none(), nb::arg("top_k"));
  module.def("switch_layer", [](const Owner& device, const PackedWeight& weight) {
    return Rows(device, switch_layer(device->eager(), weight.object));
  });
  module.def("switch_swiglu_layer", [](const Owner& device, const PackedWeight& gate,
                                       const PackedWeight& up, std::int64_t top_k) {
    return Rows(device, switch_swiglu_layer(device->eager(), gate.object, up.object, top_k));
  });
}

void add_sequence_layers(nb::module_& module) {
  nb::class_<Ssm>(module, "SsmLayer")
      .def("run", run_ssm, nb::arg("n_sequences"), nb::arg("n_rows"), nb::arg("x"),
           nb::arg("tail").none(), nb::arg("h").none());
  module.def(
      "ssm_layer",
      [](const Owner& device, const PackedWeight& in_proj, const PackedWeight& conv_weight,
         const PackedWeight& conv_bias, const PackedWeight& x_proj, const PackedWeight& dt_weight,
         const PackedWeight& dt_bias, const PackedWeight& a_log, const PackedWeight& skip,
         const PackedWeight& out_proj, float dt_least, float dt_most) {
        return Ssm(device, std::make_shared<SsmLayer>(
                               device->eager(),
                               SsmWeights{in_proj.object, conv_weight.object, conv_bias.object,
                                          x_proj.object, dt_weight.object, dt_bias.object,
                                          a_log.object, skip.object, out_proj.object},
                               TimeStepClip{dt_least, dt_most}));
      });
  nb::class_<Attention>(module, "AttentionLayer").def("run", run_attention);
  module.def(
      "attention_layer",
      [](const Owner& device, const PackedWeight& q, const PackedWeight& k, const PackedWeight& v,
         const PackedWeight& o, std::int64_t n_heads, std::int64_t window) {
        return Attention(
            device, std::make_shared<AttentionLayer>(
                        device->eager(), AttentionWeights{q.object, k.object, v.object, o.object},
                        AttentionForm{n_heads, n_heads, window}));
      });
}

}  // namespace

void add_eager(nb::module_& module) {
  nb::class_<Device>(module, "EagerDevice")
      .def(nb::init<const std::string&, int>(), nb::arg("selector"), nb::arg("n_threads") = 0)
      .def_prop_ro("name", &Device::name);
  nb::class_<PackedWeight>(module, "PackedWeight");
  module.def("pack", pack, nb::arg("device"), nb::arg("name"), nb::arg("shape"), nb::arg("dtype"),
             nb::arg("data"), nb::arg("scales").none() = nb::none(),
             nb::arg("biases").none() = nb::none(), nb::arg("group_size") = 0, nb::arg("bits") = 4);
  add_row_layers(module);
  add_sequence_layers(module);
}

}  // namespace bitaxon::python
