// bit-axon logits: writes the logits of given ids to a file while they are computed.
#include "bitaxon/error.h"
#include "console.h"
#include "formats/safetensors.h"
#include "id_list.h"
#include "platform/signals.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

constexpr StepOutput kAllLogits = StepOutput::all_logits;

struct LogitsOptions {
  ModelOptions model;
  DeviceOptions device;
  OutputOptions output;
  std::string ids, ids_file, split, out, load_state, save_state;
};

/// Whether both names mean the same file, which may not exist yet.
bool same_file_name(const std::string& a, const std::string& b) {
  std::error_code error;
  return std::filesystem::weakly_canonical(a, error) == std::filesystem::weakly_canonical(b, error);
}

int run_command(const LogitsOptions& wanted) {
  if (wanted.ids.empty() == wanted.ids_file.empty())
    throw UsageError(fmt::format("expected one of --ids and --ids-file, got {}",
                                 wanted.ids.empty() ? "neither" : "both"));
  const std::vector<std::int32_t> ids = read_ids(wanted.ids, wanted.ids_file);
  const std::vector<std::size_t> pieces = parse_split(wanted.split, ids.size());
  check_writable("--out", wanted.out);
  if (!wanted.save_state.empty()) {
    check_writable("--save-state", wanted.save_state);
    if (same_file_name(wanted.save_state, wanted.out))
      throw UsageError("--save-state: expected another file than --out, got the same");
  }
  Session session = open_session(wanted.model, wanted.device, wanted.output,
                                 {.run_ahead = 0, .largest_step = {kAllLogits}});
  Model& model = session.model;
  State state = model.new_state();
  if (!wanted.load_state.empty()) state.load(wanted.load_state);
  model.check_ids(ids);
  state.check_room(std::ssize(ids));

  const std::int64_t vocab_size = model.spec().vocab_size;
  // The default action of Ctrl-C would leave the unfinished file behind.
  const std::atomic<bool>& interrupted = catch_interrupts();
  SafetensorsWriter writer(wanted.out, {{"logits", DType::f32, {std::ssize(ids), vocab_size}}});
  ProgressLine progress("logits", !wanted.output.quiet);
  std::vector<float> rows;
  std::size_t done = 0;
  for (std::size_t piece : pieces) {
    model.feed(state, std::span(ids).subspan(done, piece), kAllLogits);
    rows.resize(piece * static_cast<std::size_t>(vocab_size));
    model.read_logits(rows);
    writer.write(std::as_bytes(std::span(rows)));
    done += piece;
    progress.update(done, ids.size());
    if (interrupted) return kInterrupted;
  }
  // The state is saved before the logits get their name. If saving fails, neither file appears.
  if (!wanted.save_state.empty()) state.save(wanted.save_state);
  writer.commit();
  return kDone;
}

}  // namespace

void add_logits(CommandLine& line) {
  auto wanted = std::make_shared<LogitsOptions>();
  Command& command =
      line.add_command("logits", "Write the logits of given token ids to a safetensors file");
  add_model_options(command, wanted->model);
  add_quantize_option(command, wanted->model);
  add_adapter_options(command, wanted->model);
  add_context_option(command, wanted->model);
  add_device_options(command, wanted->device);
  add_output_options(command, wanted->output);
  command.add("--ids", wanted->ids, "The model's token ids: 1,2,3").type("IDS").not_empty();
  command.add("--ids-file", wanted->ids_file, "A JSON list of token ids").type("FILE").not_empty();
  command
      .add("--split", wanted->split,
           "Feed the ids in pieces of these sizes, which must add up: 7,93,1,1")
      .type("SIZES")
      .not_empty();
  command.add("--out", wanted->out, "The file to write: tensor logits [ids, vocab_size], float32")
      .type("FILE")
      .required();
  command.add("--load-state", wanted->load_state, "Continue from a saved state")
      .type("FILE")
      .not_empty();
  command.add("--save-state", wanted->save_state, "Save the state after the last id")
      .type("FILE")
      .not_empty();
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
