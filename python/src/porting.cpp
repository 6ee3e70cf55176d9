// Models made from the weights of Qwen2.5.
#include "bitaxon/porting.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <utility>

#include "bitaxon/error.h"
#include "bitaxon/model.h"
#include "options.h"
#include "parts.h"
#include "session/model_source.h"
#include "waiting.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bitaxon::python {
namespace {

/// The tokenizer.json of a path or a hub id.
std::filesystem::path tokenizer_file(const std::string& name) {
  std::filesystem::path path = find_tokenizer_path(name, "tokenizer_name");
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) path /= "tokenizer.json";
  return path;
}

ModelSpec spec_of(const std::string& config) {
  std::vector<std::string> warnings;
  return describe_model(config, "config", warnings);
}

VocabIds vocab_mapping(const nb::object& name, std::int64_t target_size,
                       const std::optional<std::string>& corpus) {
  return in_background([path = tokenizer_file(path_of(name)),
                        options = VocabOptions{.target_size = target_size, .corpus = corpus}] {
    return build_vocab_mapping(path, options);
  });
}

/// The text of a tokenizer.json whose ids are those of the model.
std::string truncated(const nb::object& name, const VocabIds& ids) {
  return in_background([path = tokenizer_file(path_of(name)), ids] {
    return truncated_tokenizer(path, ids, TokenIds::model);
  });
}

/// (target, source, rule) of each weight. The source may be empty.
std::vector<std::tuple<std::string, std::string, std::string>> key_mappings(
    const std::string& config) {
  std::vector<std::tuple<std::string, std::string, std::string>> out;
  for (const KeyMapping& mapping : build_key_mappings(spec_of(config)))
    out.emplace_back(mapping.target, mapping.source, std::string(name_of(mapping.rule)));
  return out;
}

/// Writes a model into the new folder `output`. `source` is a folder with the weights of Qwen2.5.
void port(const nb::object& source, const nb::object& output, const std::string& config,
          const VocabIds& ids, std::uint64_t seed, const std::optional<double>& expert_noise) {
  PortOptions options;
  options.source = path_of(source);
  options.spec = spec_of(config);
  options.ids = ids;
  options.seed = seed;
  options.expert_noise = expert_noise;
  options.dtype = DType::f32;
  options.has_tokenizer = false;
  const std::string folder = path_of(output);
  run_to_its_end([&](const std::atomic<bool>& cancelled) {
    Porting::plan(options).write(folder, {}, &cancelled);
  });
}

}  // namespace

void add_porting(nb::module_& module) {
  module.def("build_vocab_mapping", vocab_mapping, "tokenizer"_a, "target_size"_a,
             "corpus"_a.none());
  module.def("truncated_tokenizer", truncated, "tokenizer"_a, "ids"_a);
  module.def("vocab_mapping_json", vocab_mapping_json, "ids"_a);
  module.def("build_key_mappings", key_mappings, "config"_a);
  module.def("port", port, "source"_a, "output"_a, "config"_a, "ids"_a, "seed"_a,
             "expert_noise"_a.none());
}

}  // namespace bitaxon::python
