// bit-axon compare: feeds the same ids to the same model on two devices.
#include <limits>

#include "bitaxon/error.h"
#include "compare/compare_report.h"
#include "console.h"
#include "formats/json.h"
#include "id_list.h"
#include "platform/printable.h"
#include "platform/signals.h"
#include "prompt.h"
#include "session.h"

namespace bitaxon::tool {
namespace {

struct CompareOptions {
  ModelOptions model;
  DeviceOptions a{.flag = "--a", .device = "reference"};
  DeviceOptions b{.flag = "--b"};
  OutputOptions output;
  std::string positional_prompt, prompt, ids, ids_file, split, max_tokens = "32", tolerance;
  bool json = false;
};

struct Input {
  std::vector<std::int32_t> ids;
  std::string text;  ///< used when ids is empty
};

Input read_input(const CompareOptions& wanted) {
  int n_inputs = 0;
  for (const std::string* input :
       {&wanted.positional_prompt, &wanted.prompt, &wanted.ids, &wanted.ids_file})
    n_inputs += input->empty() ? 0 : 1;
  if (n_inputs > 1)
    throw UsageError("expected one of PROMPT, --prompt, --ids and --ids-file, got several");
  if (!wanted.ids.empty() || !wanted.ids_file.empty())
    return {read_ids(wanted.ids, wanted.ids_file), ""};
  const std::string& text = wanted.prompt.empty() ? wanted.positional_prompt : wanted.prompt;
  return {{}, text.empty() ? read_prompt_from_stdin() : text};
}

std::vector<std::int32_t> ids_of(const Input& input, const Session& session) {
  if (!input.ids.empty()) return input.ids;
  const Vocabulary& vocabulary = needed_vocabulary(session, "--ids");
  vocabulary.check_utf8("prompt", input.text);
  std::vector<std::int32_t> ids = vocabulary.encode(input.text, {.add_special = true});
  if (ids.empty())
    throw Error(ErrorKind::invalid_argument, "prompt: expected at least one token, got none");
  return ids;
}

std::optional<double> wanted_tolerance(const CompareOptions& wanted) {
  if (wanted.tolerance.empty()) return std::nullopt;
  return parse_number("--tolerance", wanted.tolerance, 0, std::numeric_limits<double>::infinity());
}

Tolerance tolerance_of(std::optional<double> whole, const Model& a, const Model& b) {
  if (a.precision() == Precision::fast || b.precision() == Precision::fast)
    return whole ? Tolerance::fast(*whole) : Tolerance::fast();
  return whole ? Tolerance::exact(*whole) : Tolerance::exact();
}

void say_details(const char* letter, const Model& model) {
  note(fmt::format("{}: weights {} packed, state up to {}, precision {}", letter,
                   bytes_text(model.packed_bytes()), bytes_text(model.state_bytes()),
                   name_of(model.precision())));
}

int run_command(const CompareOptions& wanted) {
  const std::optional<double> whole = wanted_tolerance(wanted);
  ComparisonInput both;
  both.max_tokens = parse_integer("--max-tokens", wanted.max_tokens, 0, INT64_MAX);
  wanted.a.check();
  DeviceOptions b = wanted.b;
  b.precision = wanted.a.precision;
  b.threads = wanted.a.threads;
  b.check();
  const Input input = read_input(wanted);
  if (!input.ids.empty()) parse_split(wanted.split, input.ids.size());

  const DeviceOptions devices[] = {wanted.a, b};
  std::vector<Session> sessions =
      open_sessions(wanted.model, devices, wanted.output, {.largest_step = kAllOutputs});
  Session &on_a = sessions[0], &on_b = sessions[1];
  if (wanted.output.verbose) {
    say_details("a", on_a.model);
    say_details("b", on_b.model);
  }
  both.ids = ids_of(input, on_a);
  both.pieces = parse_split(wanted.split, both.ids.size());
  ProgressLine progress("comparing", !wanted.output.quiet);
  auto found = compare({on_a.model, on_b.model}, both, tolerance_of(whole, on_a.model, on_b.model),
                       catch_interrupts(),
                       [&](std::size_t n_rows) { progress.update(n_rows, both.ids.size()); });
  if (!found) return kInterrupted;
  found->model_name = on_a.model_name;
  print(wanted.json ? report_json(*found).dump(2) + "\n" : report_text(*found));
  return first_beyond_tolerance(*found) ? kFailed : kDone;
}

}  // namespace

void add_compare(CommandLine& line) {
  auto wanted = std::make_shared<CompareOptions>();
  Command& command = line.add_command(
      "compare", "Compare the results of two devices for the same ids, layer by layer");
  add_model_options(command, wanted->model);
  add_quantize_option(command, wanted->model);
  add_adapter_options(command, wanted->model);
  add_context_option(command, wanted->model);
  command.add("--a", wanted->a.device, "The device to compare with, as --device of run")
      .type("DEVICE")
      .show_default();
  command.add("--b", wanted->b.device, "The device to check, as --device of run")
      .environment(kDeviceVariable)
      .type("DEVICE")
      .show_default();
  add_precision_options(command, wanted->a);
  add_shader_option(command, wanted->b);
  add_output_options(command, wanted->output);
  const auto add = [&](const char* name, std::string& value, const char* type, const char* help) {
    return command.add(name, value, help).type(type).not_empty();
  };
  add("PROMPT", wanted->positional_prompt, "TEXT",
      "The prompt (default: stdin without its last line end)");
  add("--prompt", wanted->prompt, "TEXT", "The prompt, as a flag");
  add("--ids", wanted->ids, "IDS", "The model's token ids: 1,2,3");
  add("--ids-file", wanted->ids_file, "FILE", "A JSON list of token ids");
  add("--split", wanted->split, "SIZES",
      "Feed the ids in pieces of these sizes, which must add up: 7,93,1,1");
  add("--max-tokens", wanted->max_tokens, "N", "Greedy tokens to generate on each device")
      .show_default();
  add("--tolerance", wanted->tolerance, "X",
      "Largest relative L2 of a layer or the logits over all rows (default: 5e-05, or 0.01 when "
      "a device is fast); a single row may have 4 times (fast: 3 times) that");
  command.add("--json", wanted->json, "Print one JSON object");
  command.runs([wanted] { return run_command(*wanted); });
}

}  // namespace bitaxon::tool
