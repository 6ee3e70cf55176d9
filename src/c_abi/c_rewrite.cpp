#include "bitaxon/c/bitaxon.h"
#include "bitaxon/evaluation.h"
#include "bitaxon/rewrite.h"
#include "c_abi/load_options.h"
#include "c_abi/loaded_model.h"
#include "c_abi/log.h"
#include "c_abi/structs.h"
#include "formats/json.h"
#include "session/report_json.h"

using namespace bitaxon;
using namespace bitaxon::c;

namespace {

/// Progress of work that ends when a flag is set.
template <class Options>
class Progress {
 public:
  explicit Progress(const Options& options) : options_(options), cancel_(options.cancel) {
    cancel_.check();
  }
  void update(std::uint64_t done, std::uint64_t total) {
    if (options_.progress != nullptr && options_.progress(options_.user, done, total) != 0)
      ended_ = true;
    if (cancel_.is_set()) ended_ = true;
  }
  const std::atomic<bool>* ended() const { return &ended_; }

 private:
  const Options& options_;
  Cancel cancel_;
  std::atomic<bool> ended_ = false;
};

[[noreturn]] void interrupted() {
  throw Failure(BITAXON_STATUS_INTERRUPTED, "interrupted by a callback or a cancel token");
}

template <class Options>
void write(Rewrite rewrite, const ModelFiles& files, const std::filesystem::path& output,
           const Options& options, bitaxon_buffer* report) {
  if (is_own_input(files, output)) refuse("output: expected another folder than the model's own");
  Progress<Options> progress(options);
  log_lines(BITAXON_LOG_WARNING, rewrite.warnings());
  const std::optional<RewriteReport> written = rewrite.write(
      output, [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); },
      progress.ended());
  if (!written) interrupted();
  fill(report, rewrite_json(*written).dump());
}

template <class T>
std::optional<T> if_not_zero(T value) {
  return value == 0 ? std::nullopt : std::optional<T>(value);
}

std::optional<DType> dtype_of(std::int32_t dtype) {
  switch (dtype) {
    case BITAXON_DTYPE_KEEP:
      return std::nullopt;
    case BITAXON_DTYPE_F32:
      return DType::f32;
    case BITAXON_DTYPE_F16:
      return DType::f16;
    case BITAXON_DTYPE_BF16:
      return DType::bf16;
    default:
      refuse(fmt::format("dtype: expected one of BITAXON_DTYPE_..., got {}", dtype));
  }
}

bitaxon_evaluation struct_of(const Evaluation& found) {
  auto out = defaults<bitaxon_evaluation>();
  out.tokens = found.model.tokens;
  out.windows = found.windows;
  out.perplexity = found.model.value();
  out.std_error = found.model.std_error();
  out.nll_per_token = found.model.nll_per_token();
  out.seconds = found.seconds;
  return out;
}

}  // namespace

bitaxon_status bitaxon_quantize(const char* name, uint64_t name_size, const char* output,
                                uint64_t output_size, const bitaxon_quantize_options* options,
                                bitaxon_buffer* report) {
  return guard([&] {
    const auto known = options_of(options, "options");
    if (known.reserved != 0) refuse(fmt::format("reserved: expected 0, got {}", known.reserved));
    QuantizeOptions wanted{.group_size = known.group_size,
                           .nested = flag_of(known.nested, "nested"),
                           .bits = known.bits};
    if (known.format_size > 0) wanted.format = name_of(known.format, known.format_size, "format");
    check_bits(known.bits, wanted.format);
    if (wanted.nested && wanted.format != "nf4")
      refuse(fmt::format("nested: expected 0 for the format {}, got 1", wanted.format));
    const std::filesystem::path folder = path_of(output, output_size, "output");
    const ModelFiles files = find_model_files(name_of(name, name_size, "name")).files;
    write(Rewrite::quantize(files, wanted), files, folder, known, report);
  });
}

bitaxon_status bitaxon_merge(const char* name, uint64_t name_size, const char* adapter,
                             uint64_t adapter_size, const char* output, uint64_t output_size,
                             const bitaxon_merge_options* options, bitaxon_buffer* report) {
  return guard([&] {
    const auto known = options_of(options, "options");
    const MergeOptions wanted{.adapter = path_of(adapter, adapter_size, "adapter"),
                              .scale = if_not_zero(known.scale),
                              .rank = if_not_zero(known.rank),
                              .re_quantize = flag_of(known.re_quantize, "re_quantize"),
                              .dtype = dtype_of(known.dtype),
                              .group_size = if_not_zero(known.group_size),
                              .bits = if_not_zero<int>(known.bits)};
    const std::filesystem::path folder = path_of(output, output_size, "output");
    const ModelFiles files = find_model_files(name_of(name, name_size, "name")).files;
    write(Rewrite::merge(files, wanted), files, folder, known, report);
  });
}

bitaxon_status bitaxon_evaluate(bitaxon_model* model, const int32_t* ids, uint64_t n_ids,
                                const bitaxon_evaluate_options* options,
                                bitaxon_evaluation* evaluation) {
  return guard([&] {
    const std::shared_ptr<LoadedModel> loaded = not_null(model, "model").loaded;
    not_null(evaluation, "evaluation");
    check_output(evaluation, "evaluation");
    const auto known = options_of(options, "options");
    const auto given = ids_of(ids, n_ids);
    const EvaluationOptions wanted{.seq_length = known.seq_length,
                                   .batch_size = known.batch_size,
                                   .carry = flag_of(known.carry, "carry")};
    const LoadedModel::Use use(*loaded);
    Progress<bitaxon_evaluate_options> progress(known);
    const auto on_progress = [&](std::uint64_t done) {
      progress.update(done, given.empty() ? 0 : given.size() - 1);
    };
    const std::optional<Evaluation> found =
        evaluate(loaded->session.model, nullptr, given, wanted, on_progress, progress.ended());
    if (!found) interrupted();
    store(evaluation, struct_of(*found));
  });
}
