#include "c_abi/load_options.h"

#include <fmt/format.h>

#include "platform/utf8.h"

namespace bitaxon::c {
namespace {

void check_range(const char* name, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value < least || value > most)
    refuse(fmt::format("{}: expected {} to {}, got {}", name, least, most, value));
}

}  // namespace

void check_bits(std::int32_t bits, const std::string& format) {
  if (bits != 4 && (bits != 8 || format == "nf4"))
    refuse(fmt::format("bits: expected 4, or 8 for the format mlx, got {}", bits));
}

ModelRequest request_of(const std::string& name, const bitaxon_model_options& options) {
  ModelRequest request;
  request.model = name;
  request.tokenizer = name_of(options.tokenizer, options.tokenizer_size, "tokenizer");
  request.preset = name_of(options.preset, options.preset_size, "preset");
  request.quantize = name_of(options.quantize, options.quantize_size, "quantize");
  request.seed = options.seed;
  if (!request.quantize.empty() && request.quantize != "nf4" && request.quantize != "mlx")
    refuse(fmt::format("quantize: expected nf4 or mlx, got {}", in_quotes(request.quantize)));
  return request;
}

LoadWish load_wish(const bitaxon_model_options& options) {
  check_range("precision", options.precision, BITAXON_PRECISION_AUTO, BITAXON_PRECISION_FAST);
  check_range("context", options.context, 0, INT64_MAX);
  check_range("slots", options.slots, 1, kMaxSlots - 1);
  check_range("forks", options.forks, 0, kMaxSlots - 1 - options.slots);
  check_range("run_ahead", options.run_ahead, 0, kMaxRunAhead);
  check_range("threads", options.threads, 0, 4096);
  LoadWish wish;
  if (options.precision != BITAXON_PRECISION_AUTO)
    wish.load.precision =
        options.precision == BITAXON_PRECISION_EXACT ? Precision::exact : Precision::fast;
  if (options.context > 0) wish.load.context = options.context;
  wish.load.n_slots = options.slots;
  // A call works on a fork, and replaces the state only when it has succeeded.
  wish.load.n_forks = options.forks + 1;
  wish.load.run_ahead = options.run_ahead;
  check_bits(options.quantize_bits, name_of(options.quantize, options.quantize_size, "quantize"));
  const bool known_group = options.quantize_group_size == 32 || options.quantize_group_size == 64 ||
                           options.quantize_group_size == 128;
  if (!known_group)
    refuse(fmt::format("quantize_group_size: expected 32, 64 or 128, got {}",
                       options.quantize_group_size));
  wish.load.quantize_bits = options.quantize_bits;
  wish.load.quantize_group_size = options.quantize_group_size;
  wish.device = name_of(options.device, options.device_size, "device");
  if (wish.device.empty()) wish.device = "auto";
  wish.n_threads = options.threads;
  const Cancel cancel(options.cancel);
  cancel.check();
  wish.load.on_progress = [cancel, progress = options.progress, user = options.user](
                              std::uint64_t done, std::uint64_t total) {
    report_progress(progress, user, cancel, done, total);
  };
  return wish;
}

void report_progress(bitaxon_progress_fn progress, void* user, const Cancel& cancel,
                     std::uint64_t done, std::uint64_t total) {
  if (progress != nullptr && progress(user, done, total) != 0)
    throw Failure(BITAXON_STATUS_INTERRUPTED, "interrupted by the progress callback");
  cancel.check();
}

}  // namespace bitaxon::c
