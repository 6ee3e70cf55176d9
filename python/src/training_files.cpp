// Checkpoints and adapters of training, and small functions of it.
#include <fmt/format.h>
#include <nanobind/stl/function.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <utility>

#include "arrays.h"
#include "bitaxon/error.h"
#include "formats/json.h"
#include "model/adapter_file.h"
#include "options.h"
#include "parts.h"
#include "platform/file.h"
#include "platform/printable.h"
#include "training/initial_adapter.h"
#include "training/orpo.h"
#include "training/run/checkpoint_files.h"
#include "training/run/resume.h"
#include "training/run/run_folder.h"
#include "training/run/thermal_control.h"
#include "training_options.h"
#include "waiting.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bitaxon::python {
namespace {

using Floats = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
/// The name, the values and both moments of a trained tensor.
using Named = std::tuple<std::string, Floats, Floats, Floats>;

/// Tensors of Python in the place of a model that is trained.
class GivenTensors {
 public:
  GivenTensors(const std::vector<Named>& tensors, std::int64_t n_updates) : n_updates_(n_updates) {
    for (const auto& [name, values, first, second] : tensors) {
      Shape shape = values.ndim() == 1 ? Shape{extent(values, 0)}
                                       : Shape{extent(values, 0), extent(values, 1)};
      ranges_.push_back({name, shape, std::ssize(values_)});
      append(values_, values);
      append(first_, first);
      append(second_, second);
    }
  }

  TrainingTarget target() const {
    TrainingTarget target;
    target.parameters = ranges_;
    target.read = [this](ParameterVector vector) {
      if (vector == ParameterVector::first_moment) return first_;
      return vector == ParameterVector::second_moment ? second_ : values_;
    };
    target.n_updates = [this] { return n_updates_; };
    return target;
  }

 private:
  static std::int64_t extent(const Floats& array, std::size_t axis) {
    return static_cast<std::int64_t>(array.shape(axis));
  }
  static void append(std::vector<float>& to, const Floats& from) {
    to.insert(to.end(), from.data(), from.data() + from.size());
  }

  std::vector<ParameterRange> ranges_;
  std::vector<float> values_, first_, second_;
  std::int64_t n_updates_;
};

AdapterMetadata metadata_of(const nb::dict& about) {
  const AdapterSettings settings = adapter_settings_of(about);
  AdapterMetadata adapter{.kind = settings.kind,
                          .rank = settings.rank,
                          .scale = settings.scale,
                          .dropout = settings.dropout};
  take(about, "step", adapter.step);
  return adapter;
}

/// Writes a checkpoint of tensors that Python holds. Its training_state.json has no place in data, as
/// upstream's has none, so a run that continues from it begins the data again.
nb::object write_checkpoint(const nb::object& root, const std::vector<Named>& tensors,
                            const nb::dict& about, double learning_rate, double loss,
                            std::int64_t n_kept) {
  const AdapterMetadata adapter = metadata_of(about);
  const GivenTensors given(tensors, adapter.step);
  const std::string path = path_of(root);
  std::filesystem::path made;
  {
    const Unlocked unlocked;
    RunFolder folder(path);
    made = folder.step_folder(adapter.step);
    folder.put(made, [&](const std::filesystem::path& temporary) {
      write_tensors(temporary, given.target(), adapter, learning_rate);
      AtomicFile file(temporary / kStateFile);
      const Json state = {{"step", adapter.step}, {"loss", finite_or_null(loss)}};
      file.write(state.dump(2) + "\n");
      file.commit();
    });
    folder.prune(adapter.step, n_kept);
  }
  return to_path(made.string());
}

void write_adapter_file(const nb::object& where, const std::vector<Named>& tensors,
                        const nb::dict& about) {
  const AdapterMetadata adapter = metadata_of(about);
  const GivenTensors given(tensors, adapter.step);
  const std::string path = path_of(where);
  const Unlocked unlocked;
  write_adapter(path, given.target(), adapter);
}

nb::object array_of(std::vector<float> values, const Shape& shape) {
  if (values.empty()) return nb::none();
  const auto extent = [&](int axis) { return static_cast<std::size_t>(shape[axis]); };
  if (shape.rank() == 1) return nb::cast(to_array(std::move(values), {extent(0)}));
  return nb::cast(to_array(std::move(values), {extent(0), extent(1)}));
}

nb::dict describe(TrainCheckpoint checkpoint) {
  nb::dict tensors;
  for (auto& [name, tensor] : checkpoint.tensors)
    tensors[name.c_str()] =
        nb::make_tuple(array_of(std::move(tensor.values), tensor.shape),
                       array_of(std::move(tensor.first_moments), tensor.shape),
                       array_of(std::move(tensor.second_moments), tensor.shape));
  nb::dict out;
  out["tensors"] = tensors;
  out["step"] = checkpoint.state.step;
  out["loss"] = checkpoint.state.loss;
  out["learning_rate"] = checkpoint.state.learning_rate;
  out["scale"] = nb::none();
  if (checkpoint.adapter) out["scale"] = checkpoint.adapter->scale;
  return out;
}

nb::dict read_checkpoint_folder(const nb::object& folder) {
  const std::string path = path_of(folder);
  return describe(in_background([path] { return read_checkpoint(path); }));
}

nb::dict read_adapter_file(const nb::object& file) {
  const std::string path = path_of(file);
  return describe(in_background([path] { return read_adapter_tensors(find_adapter(path)); }));
}

nb::object latest_checkpoint(const nb::object& folder) {
  const std::filesystem::path path = path_of(folder);
  const std::vector<std::int64_t> steps = checkpoint_steps(path);
  if (steps.empty()) return nb::none();
  return to_path((path / checkpoint_name(steps.back())).string());
}

nb::ndarray<nb::numpy, float> draw(std::uint64_t seed, std::uint32_t layer, std::size_t n_in,
                                   std::size_t rank) {
  std::vector<float> values(n_in * rank);
  draw_lora_a(seed, layer, static_cast<std::int64_t>(n_in), values);
  return to_array(std::move(values), {n_in, rank});
}

nb::tuple orpo(double chosen, double rejected, double beta, bool inside) {
  const OrpoTerms terms =
      orpo_terms(chosen, rejected, beta, inside ? OrpoPenalty::inside : OrpoPenalty::outside);
  return nb::make_tuple(terms.log_odds_ratio, terms.penalty);
}

/// A ThermalControl whose sensor and sleep are functions of Python.
void make_thermal_control(ThermalControl* self, double warm, double pause, double stop,
                          double poll_seconds, std::function<std::optional<double>()> sensor,
                          std::function<void(double)> sleep) {
  const ThermalSettings settings{
      .warm = warm, .pause = pause, .stop = stop, .resume = warm, .poll_seconds = poll_seconds};
  const auto now = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  new (self) ThermalControl(settings, std::move(sensor), {now, std::move(sleep)}, nullptr);
}

/// Reads the sensor, and waits as long as the machine is hot. Returns whether it is too hot to go on.
bool is_too_hot(ThermalControl& control) {
  try {
    control.read();
    control.before_part();
  } catch (const TooHot&) {
    return true;
  }
  return false;
}

}  // namespace

void add_training_files(nb::module_& module) {
  module.def("write_checkpoint", write_checkpoint, "root"_a, "tensors"_a, "about"_a,
             "learning_rate"_a, "loss"_a, "n_kept"_a);
  module.def("write_adapter", write_adapter_file, "file"_a, "tensors"_a, "about"_a);
  module.def("read_checkpoint", read_checkpoint_folder, "folder"_a);
  module.def("read_adapter", read_adapter_file, "file"_a);
  module.def("latest_checkpoint", latest_checkpoint, "folder"_a);
  module.def("draw_lora_a", draw, "seed"_a, "layer"_a, "n_in"_a, "rank"_a);
  module.def("orpo_terms", orpo, "chosen"_a, "rejected"_a, "beta"_a, "inside"_a);
  nb::class_<ThermalControl>(module, "ThermalControl")
      .def("__init__", make_thermal_control, "warm"_a, "pause"_a, "stop"_a, "poll_seconds"_a,
           "sensor"_a, "sleep"_a)
      .def("is_too_hot", is_too_hot)
      .def_prop_ro("temperature", &ThermalControl::temperature)
      .def_prop_ro("paused_seconds", &ThermalControl::paused_seconds);
}

}  // namespace bitaxon::python
