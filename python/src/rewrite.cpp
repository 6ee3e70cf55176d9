// New models made from others: quantize and merge.
#include "bitaxon/rewrite.h"

#include <fmt/format.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <utility>

#include "bitaxon/error.h"
#include "parts.h"
#include "platform/printable.h"
#include "waiting.h"

namespace nb = nanobind;

namespace bitaxon::python {
namespace {

nb::dict describe(const PartReport& part) {
  nb::dict out;
  out["parameters"] = part.parameters;
  out["bytes_before"] = part.bytes_before;
  out["bytes_after"] = part.bytes_after;
  out["relative_error"] = part.relative_error();
  out["kept_change"] = part.kept_change();
  return out;
}

nb::dict describe(const RewriteReport& report) {
  nb::dict parts;
  for (const auto& [name, part] : report.parts) parts[name.c_str()] = describe(part);
  nb::dict out;
  out["parts"] = parts;
  out["total"] = describe(report.total);
  out["n_parameters"] = report.n_parameters;
  return out;
}

/// Plans and writes a new model. `plan` makes the Rewrite and runs without the interpreter's lock.
nb::dict write(const ModelSource& source, const std::filesystem::path& output,
               const std::function<Rewrite()>& plan, nb::object on_progress) {
  if (is_own_input(source.files, output))
    throw Error(ErrorKind::invalid_argument,
                fmt::format("output {}: expected another folder than the model's own",
                            printable_path(output.string())));
  std::optional<Rewrite> rewrite;
  std::optional<RewriteReport> report;
  Progress progress(std::move(on_progress));
  run_to_its_end(
      [&](const std::atomic<bool>& cancelled) {
        rewrite = plan();
        report = rewrite->write(
            output, [&](std::uint64_t done, std::uint64_t total) { progress.set(done, total); },
            &cancelled);
      },
      [&] { progress.tell(); });
  nb::dict out = describe(report.value());
  out["output"] = output.string();
  out["warnings"] = rewrite->warnings();
  return out;
}

ModelSource find(const std::string& model, const std::string& argument, const std::string& config) {
  ModelSource source = find_model_files(model, argument);
  source.files.config = config;
  return source;
}

nb::dict quantize(const std::string& model, const std::string& output, const std::string& format,
                  int bits, std::int64_t group_size, bool nested, const std::string& config,
                  nb::object on_progress) {
  const ModelSource source = find(model, "model", config);
  const std::filesystem::path folder =
      output.empty() ? default_quantized_folder(source, bits) : std::filesystem::path(output);
  const QuantizeOptions options{
      .format = format, .group_size = group_size, .nested = nested, .bits = bits};
  return write(
      source, folder, [&] { return Rewrite::quantize(source.files, options); },
      std::move(on_progress));
}

/// The type of floats that a user names.
std::optional<DType> float_type(const std::optional<std::string>& name) {
  if (!name) return {};
  if (*name == "f32" || *name == "float32") return DType::f32;
  if (*name == "f16" || *name == "float16") return DType::f16;
  if (*name == "bf16" || *name == "bfloat16") return DType::bf16;
  throw Error(
      ErrorKind::invalid_argument,
      fmt::format("dtype: expected float32, float16 or bfloat16, got \"{}\"", printable(*name)));
}

nb::dict merge(const std::string& base, const std::string& adapter, const std::string& output,
               std::optional<double> scale, std::optional<std::int64_t> rank, bool re_quantize,
               const std::optional<std::string>& dtype, std::optional<int> bits,
               std::optional<std::int64_t> group_size, const std::string& config,
               nb::object on_progress) {
  const ModelSource source = find(base, "base model", config);
  const std::filesystem::path folder =
      output.empty() ? default_merged_folder(source) : std::filesystem::path(output);
  const MergeOptions options{.adapter = adapter,
                             .scale = scale,
                             .rank = rank,
                             .re_quantize = re_quantize,
                             .dtype = float_type(dtype),
                             .group_size = group_size,
                             .bits = bits};
  bool has_codes = false;
  nb::dict out = write(
      source, folder,
      [&] {
        Rewrite rewrite = Rewrite::merge(source.files, options);
        has_codes = rewrite.has_codes();
        return rewrite;
      },
      std::move(on_progress));
  out["has_codes"] = has_codes;
  return out;
}

}  // namespace

void add_rewrite(nb::module_& module) {
  module.def("quantize", quantize, nb::kw_only(), nb::arg("model"), nb::arg("output"),
             nb::arg("format"), nb::arg("bits"), nb::arg("group_size"), nb::arg("nested"),
             nb::arg("config"), nb::arg("on_progress").none());
  module.def("merge", merge, nb::kw_only(), nb::arg("base"), nb::arg("adapter"), nb::arg("output"),
             nb::arg("scale").none(), nb::arg("rank").none(), nb::arg("re_quantize"),
             nb::arg("dtype").none(), nb::arg("bits").none(), nb::arg("group_size").none(),
             nb::arg("config"), nb::arg("on_progress").none());
}

}  // namespace bitaxon::python
