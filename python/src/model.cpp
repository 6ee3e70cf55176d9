// Loads models, and runs their steps.
#include "bitaxon/model.h"

#include <nanobind/stl/function.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bitaxon/error.h"
#include "bitaxon/memory.h"
#include "core/half.h"
#include "errors.h"
#include "options.h"
#include "parts.h"
#include "sequences.h"
#include "waiting.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bitaxon::python {
namespace {

using Report = std::function<void(double)>;

/// How Python wants a model to be loaded.
struct LoadRequest {
  std::string device = "auto";
  std::string precision;  ///< "exact", "fast" or empty
  std::optional<std::int64_t> context;
  std::optional<int> parallel;
  int run_ahead = 2;
  int n_threads = 0;
  std::string quantize;  ///< "mlx", "nf4" or empty
  int bits = 4;
  std::int64_t group_size = 64;
  std::string adapter;  ///< a file or a folder, or empty
  std::optional<double> adapter_scale;
  Report progress;
};

std::optional<Precision> precision_of(const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (name == "exact") return Precision::exact;
  if (name == "fast") return Precision::fast;
  throw Error(ErrorKind::invalid_argument,
              "precision: expected exact or fast, got \"" + name + "\"");
}

/// Calls a function of Python from the thread that loads.
std::function<void(std::uint64_t, std::uint64_t)> reporter(const Report& progress,
                                                           const std::atomic<bool>& cancelled) {
  return [&progress, &cancelled](std::uint64_t done, std::uint64_t total) {
    if (cancelled) throw Cancelled();
    if (!progress) return;
    const nb::gil_scoped_acquire acquire;
    progress(total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total));
  };
}

using Load = std::function<Session(const OpenedDevice& device, const LoadOptions& options)>;

/// What a LoadedModel is made of. The thread that loads must not make one itself: if the wait for it
/// was interrupted, it would have to end one, which takes the lock of the interpreter.
struct LoadedParts {
  Session session;
  std::string config;
  int n_slots = 1;
};

/// Loads with as many slots as the memory allows, unless the caller names a number.
LoadedParts load_with(const LoadRequest& request, std::string config, const Load& load,
                      const std::atomic<bool>& cancelled) {
  const OpenedDevice device = open_device(request.device, {.n_threads = request.n_threads});
  LoadOptions options;
  options.precision = precision_of(request.precision);
  options.run_ahead = request.run_ahead;
  options.context = request.context;
  options.quantize_bits = request.bits;
  options.quantize_group_size = request.group_size;
  options.adapter = request.adapter;
  options.adapter_scale = request.adapter_scale;
  options.on_progress = reporter(request.progress, cancelled);
  constexpr int kParallel = 8;
  for (int n_slots = request.parallel.value_or(kParallel);; n_slots /= 2) {
    options.n_forks = n_slots - 1;
    try {
      Session session = load(device, options);
      if (config.empty()) config = session.model.spec().config;
      return {std::move(session), config, n_slots};
    } catch (const OutOfMemory&) {
      if (request.parallel || n_slots == 1) throw;
    }
  }
}

std::shared_ptr<LoadedModel> load_in_background(LoadRequest request, std::string config,
                                                Load load) {
  if (request.parallel && (*request.parallel < 1 || *request.parallel > kMaxSlots))
    throw Error(ErrorKind::invalid_argument, "parallel: expected 1.." + std::to_string(kMaxSlots) +
                                                 ", got " + std::to_string(*request.parallel));
  struct Held {
    LoadRequest request;
    std::string config;
    Load load;
    std::optional<LoadedParts> loaded;
  };
  const auto held =
      std::make_shared<Held>(Held{std::move(request), std::move(config), std::move(load), {}});
  const auto job = background().post([held](const std::atomic<bool>& cancelled) {
    held->loaded.emplace(load_with(held->request, held->config, held->load, cancelled));
    held->load = nullptr;
  });
  wait_for(*job);
  held->request.progress = nullptr;
  return std::make_shared<LoadedModel>(std::move(held->loaded->session), held->loaded->config,
                                       held->loaded->n_slots);
}

std::shared_ptr<LoadedModel> load(const std::string& path, const std::string& config,
                                  LoadRequest request) {
  FoundModel found = find_model({.model = path, .quantize = request.quantize});
  if (!config.empty()) found.source->files.config = config;
  return load_in_background(std::move(request), "",
                            [found](const OpenedDevice& device, const LoadOptions& options) {
                              return load_session(found, device, options);
                            });
}

std::shared_ptr<LoadedModel> random(const std::string& config, std::uint64_t seed,
                                    LoadRequest request) {
  std::vector<std::string> warnings;
  const ModelSpec spec = describe_model(config, "config", warnings);
  return load_in_background(
      std::move(request), config,
      [spec, seed, warnings](const OpenedDevice& device, const LoadOptions& options) {
        return Session{.model_name = "random weights",
                       .folder = {},
                       .backend = device.backend,
                       .model = Model::random(device.backend, spec, seed, options),
                       .vocabulary = {},
                       .notes = {},
                       .warnings = warnings};
      });
}

nb::dict describe(const LoadedModel& model) {
  const Session& session = model.session();
  const BackendCaps& caps = caps_of(*session.backend);
  nb::dict out;
  out["name"] = session.model_name;
  out["family"] = model.spec().family;
  out["config"] = model.config();
  out["vocab_size"] = model.spec().vocab_size;
  out["n_layers"] = model.spec().n_blocks();
  out["max_seq_len"] = model.spec().max_seq_len;
  out["context"] = session.model.context();
  out["precision"] = name_of(session.model.precision());
  out["format"] = session.model.main_format();
  out["backend"] = caps.name;
  out["device"] = caps.device;
  out["n_threads"] = caps.n_threads;
  out["weight_bytes"] = session.model.packed_bytes();
  out["state_bytes"] = session.model.state_bytes();
  out["activation_bytes"] = session.model.arena_bytes();
  out["parallel"] = model.n_slots();
  out["vocab_mapping"] = session.model.vocab_mapping();
  out["beginning"] = model.spec().beginning;
  out["ends"] = model.spec().ends;
  out["notes"] = session.notes;
  out["warnings"] = session.warnings;
  return out;
}

nb::list layers_of(const LoadedModel& model) {
  nb::list kinds;
  for (const BlockSpec& block : model.spec().blocks) {
    nb::dict out;
    out["kind"] = block.kind;
    if (const auto* attention = std::get_if<AttentionSpec>(&block.mixer)) {
      out["mixer"] = "attention";
      out["n_kv_heads"] = attention->n_kv_heads;
      out["head_dim"] = attention->head_dim;
      out["window"] = attention->window;
    } else {
      out["mixer"] = "scan";
    }
    kinds.append(out);
  }
  return kinds;
}

std::size_t check_ids_of(const Sequences& sequences, const IdArray& ids) {
  if (ids.shape(0) != sequences.size())
    throw Error(ErrorKind::invalid_argument,
                "input_ids: expected " + std::to_string(sequences.size()) +
                    " sequences, as many as the cache holds, got " + std::to_string(ids.shape(0)));
  if (ids.shape(1) == 0)
    throw Error(ErrorKind::invalid_argument,
                "input_ids: expected at least one token per sequence, got none");
  return ids.shape(1);
}

nb::ndarray<nb::numpy, float> forward(Sequences& sequences, const IdArray& ids, bool all_logits) {
  const std::size_t n_rows = check_ids_of(sequences, ids);
  std::vector<float> logits =
      sequences.forward({ids.data(), ids.data() + ids.size()}, n_rows, all_logits);
  return to_array(std::move(logits),
                  {sequences.size(), all_logits ? n_rows : 1,
                   static_cast<std::size_t>(sequences.model()->spec().vocab_size)});
}

/// A state tensor of all sequences, as floats [sequences, n]. A layer has two: keys and values, or
/// the rows of the convolution and the recurrent state.
nb::list state_of_layer(Sequences& sequences, std::size_t layer) {
  const std::vector<StateSnapshot> snapshots = sequences.snapshots();
  const bool is_half = sequences.model()->session().model.precision() == Precision::fast;
  const auto& spec = sequences.model()->spec();
  const bool is_attention = std::holds_alternative<AttentionSpec>(spec.blocks.at(layer).mixer);
  nb::list out;
  for (std::size_t part = 0; part < 2; ++part) {
    std::vector<float> values;
    for (const StateSnapshot& snapshot : snapshots) {
      if (snapshot.tensors.empty()) continue;
      const std::vector<std::byte>& bytes = snapshot.tensors.at(2 * layer + part);
      if (is_attention && is_half) {
        for (std::size_t i = 0; i + 2 <= bytes.size(); i += 2) {
          std::uint16_t half = 0;
          std::memcpy(&half, bytes.data() + i, 2);
          values.push_back(f16_to_f32(half));
        }
      } else {
        const std::size_t before = values.size();
        values.resize(before + bytes.size() / sizeof(float));
        if (!bytes.empty()) std::memcpy(values.data() + before, bytes.data(), bytes.size());
      }
    }
    const std::size_t per_sequence = values.size() / snapshots.size();
    out.append(to_array(std::move(values), {snapshots.size(), per_sequence}));
  }
  return out;
}

nb::bytes to_bytes(Sequences& sequences, std::size_t index) {
  const std::vector<std::byte> bytes = sequences.to_bytes(index);
  return nb::bytes(bytes.data(), bytes.size());
}

void from_bytes(Sequences& sequences, std::size_t index, const nb::bytes& bytes) {
  const auto* data = static_cast<const std::byte*>(bytes.data());
  sequences.from_bytes(index, {data, data + bytes.size()});
}

LoadRequest request_of(const nb::dict& options) {
  LoadRequest request;
  take(options, "device", request.device);
  take(options, "precision", request.precision);
  take(options, "context", request.context);
  take(options, "parallel", request.parallel);
  take(options, "run_ahead", request.run_ahead);
  take(options, "threads", request.n_threads);
  take(options, "quantize", request.quantize);
  take(options, "bits", request.bits);
  take(options, "group_size", request.group_size);
  if (options.contains("adapter")) request.adapter = path_of(options["adapter"]);
  take(options, "adapter_scale", request.adapter_scale);
  take(options, "progress", request.progress);
  return request;
}

}  // namespace

void add_model(nb::module_& module) {
  nb::class_<LoadedModel>(module, "LoadedModel", nb::is_weak_referenceable())
      .def("describe", describe)
      .def("layers", layers_of);
  module.def("load_model",
             [](const nb::object& path, const std::string& config, const nb::dict& options) {
               return load(path_of(path), config, request_of(options));
             });
  module.def("random_model",
             [](const std::string& config, std::uint64_t seed, const nb::dict& options) {
               return random(config, seed, request_of(options));
             });
  nb::class_<Sequences>(module, "Sequences", nb::is_weak_referenceable())
      .def(nb::init<std::shared_ptr<LoadedModel>, std::size_t>())
      .def_prop_ro("position", &Sequences::position)
      .def("__len__", &Sequences::size)
      .def("forward", forward, "ids"_a, "all_logits"_a = true)
      .def("keep", &Sequences::keep)
      .def("take_back", &Sequences::take_back, "start"_a = nb::none())
      .def("fork", &Sequences::fork)
      .def("reset", &Sequences::reset)
      .def("seen", [](Sequences& self) { return self.seen(0); })
      .def("save", [](Sequences& self, std::size_t index,
                      const nb::object& path) { self.save(index, path_of(path)); })
      .def("load", [](Sequences& self, std::size_t index,
                      const nb::object& path) { self.load(index, path_of(path)); })
      .def("to_bytes", to_bytes)
      .def("from_bytes", from_bytes)
      .def("layer_state", state_of_layer);
  module.def("drain_all", drain_all);
}

}  // namespace bitaxon::python
