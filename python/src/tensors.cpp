// The tensors of checkpoints and of random models, as bytes.
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <map>

#include "arrays.h"
#include "bitaxon/error.h"
#include "bitaxon/model_files.h"
#include "bitaxon/session.h"
#include "formats/safetensors.h"
#include "model/random_weights.h"
#include "options.h"
#include "parts.h"
#include "waiting.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bitaxon::python {
namespace {

using Bytes = nb::ndarray<nb::numpy, std::uint8_t>;
using Names = std::vector<std::string>;
/// The type in the spelling of safetensors, and the shape.
using Form = std::pair<std::string, std::vector<std::int64_t>>;

Bytes to_bytes(std::vector<std::uint8_t> bytes) {
  const std::size_t n = bytes.size();
  return to_array(std::move(bytes), {n});
}

/// The tensors of a model's files.
class Tensors {
 public:
  explicit Tensors(const std::string& path)
      : checkpoint_(std::make_shared<const Checkpoint>(Checkpoint::open(path))) {}

  Names names() const {
    Names names;
    for (const TensorInfo& tensor : checkpoint_->tensors()) names.push_back(tensor.name);
    return names;
  }
  Form form(const std::string& name) const {
    const TensorInfo& tensor = find(name);
    return {std::string(tensor.dtype.name()),
            {tensor.shape.dims().begin(), tensor.shape.dims().end()}};
  }
  Bytes read(const std::string& name) const {
    const TensorInfo& tensor = find(name);
    return to_bytes(in_background([checkpoint = checkpoint_, &tensor] {
      std::vector<std::uint8_t> bytes(tensor.size_bytes);
      checkpoint->read(tensor, std::as_writable_bytes(std::span(bytes)));
      return bytes;
    }));
  }

 private:
  const TensorInfo& find(const std::string& name) const {
    if (const TensorInfo* tensor = checkpoint_->find(name)) return *tensor;
    throw Error(ErrorKind::invalid_argument,
                "expected a tensor of the model, got \"" + name + "\"");
  }
  std::shared_ptr<const Checkpoint> checkpoint_;
};

struct RandomModel {
  RandomModel(const std::string& config, std::uint64_t seed)
      : spec(describe_model(config, "config", warnings)),
        found(random_found(spec)),
        read(random_reader(spec, seed)) {}

  std::vector<std::string> warnings;
  ModelSpec spec;
  std::vector<FoundWeight> found;
  ReadWeight read;
};

/// The weights of Model::random.
class RandomTensors {
 public:
  RandomTensors(const std::string& config, std::uint64_t seed)
      : model_(std::make_shared<const RandomModel>(config, seed)) {}

  Names names() const {
    Names names;
    for (const FoundWeight& weight : model_->found) names.push_back(weight.slot.name());
    return names;
  }
  Form form(const std::string& name) const {
    const FoundWeight& weight = find(name);
    const auto dims = weight.slot.shape.dims();
    return {std::string(name_of(weight.source.desc.dtype)), {dims.begin(), dims.end()}};
  }
  Bytes read(const std::string& name) const {
    const FoundWeight& weight = find(name);
    return to_bytes(in_background([model = model_, &weight] {
      LoadedWeight loaded;
      model->read(weight, loaded);
      const auto* data = reinterpret_cast<const std::uint8_t*>(loaded.parts.data.data());
      return std::vector<std::uint8_t>(data, data + loaded.parts.data.size());
    }));
  }

 private:
  const FoundWeight& find(const std::string& name) const {
    for (const FoundWeight& weight : model_->found)
      if (weight.slot.name() == name) return weight;
    throw Error(ErrorKind::invalid_argument,
                "expected a weight of the model, got \"" + name + "\"");
  }
  std::shared_ptr<const RandomModel> model_;
};

/// Between two pieces of a file, the writer looks for Ctrl-C.
constexpr std::size_t kPieceBytes = std::size_t{16} << 20;

using Source = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Named = std::tuple<std::string, std::string, std::vector<std::int64_t>, Source>;

void write(const nb::object& where, const std::vector<Named>& tensors,
           const std::map<std::string, std::string>& metadata) {
  const std::string path = path_of(where);
  std::vector<SafetensorsWriter::Spec> specs;
  for (const auto& [name, type, shape, bytes] : tensors) {
    const auto stored = StoredType::named(type);
    if (!stored)
      throw Error(ErrorKind::invalid_argument,
                  name + ": expected a type of the format safetensors, got " + type);
    specs.push_back({name, *stored, StoredShape(shape)});
  }
  SafetensorsWriter writer(path, specs, metadata);
  for (const auto& tensor : tensors) {
    const Source& array = std::get<3>(tensor);
    auto bytes = std::as_bytes(std::span(array.data(), array.size()));
    while (!bytes.empty()) {
      const auto piece = bytes.first(std::min(kPieceBytes, bytes.size()));
      bytes = bytes.subspan(piece.size());
      {
        const Unlocked unlocked;
        writer.write(piece);
      }
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
    }
  }
  const Unlocked unlocked;
  writer.commit();
}

}  // namespace

void add_tensors(nb::module_& module) {
  nb::class_<Tensors>(module, "Tensors")
      .def("__init__",
           [](Tensors* self, const nb::object& path) { new (self) Tensors(path_of(path)); })
      .def("names", &Tensors::names)
      .def("form", &Tensors::form)
      .def("read", &Tensors::read);
  nb::class_<RandomTensors>(module, "RandomTensors")
      .def(nb::init<const std::string&, std::uint64_t>())
      .def("names", &RandomTensors::names)
      .def("form", &RandomTensors::form)
      .def("read", &RandomTensors::read);
  module.def("write_safetensors", write, "path"_a, "tensors"_a, "metadata"_a);
  module.def("resolve_model", [](const nb::object& name) {
    const ModelFiles files = find_model_files(path_of(name)).files;
    return nb::make_tuple(to_path(files.weights.string()), to_path(files.folder.string()));
  });
}

}  // namespace bitaxon::python
