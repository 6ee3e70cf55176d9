#include "bitaxon/c/bitaxon.h"
#include "c_abi/load_options.h"
#include "c_abi/structs.h"
#include "formats/json.h"
#include "formats/quantization_config.h"
#include "model/inspection.h"
#include "model/quantize_weights.h"
#include "session/report_json.h"

using namespace bitaxon;
using namespace bitaxon::c;

namespace {

Inspection inspect(const ModelRequest& request) {
  const FoundModel found = find_model(request);
  return found.source ? inspect_files(found.source->files)
                      : inspect_random(found.preset, found.name);
}

/// Whether the options name no device, or the device `selector`.
bool is_wanted(const std::string& device, const std::string& selector) {
  return device == "auto" || resolve_device(device) == selector;
}

}  // namespace

bitaxon_status bitaxon_memory_estimate(const char* name, uint64_t name_size,
                                       const bitaxon_model_options* options, bitaxon_buffer* json) {
  return guard([&] {
    not_null(json, "json");
    const auto known = options_of(options, "options");
    const ModelRequest request = request_of(name_of(name, name_size, "name"), known);
    const LoadWish wish = load_wish(known);
    if (const auto problem = selector_problem(wish.device))
      refuse(fmt::format("device: {}", *problem));
    Inspection model = inspect(request);
    if (wish.load.context && *wish.load.context > model.spec.max_seq_len)
      refuse(fmt::format("context: expected at most {} tokens, got {}", model.spec.max_seq_len,
                         *wish.load.context));
    std::vector<std::string> warnings;
    if (!request.quantize.empty())
      quantize_found(model.spec,
                     {.format = four_bit_format(request.quantize),
                      .group_size = wish.load.quantize_group_size,
                      .bits = wish.load.quantize_bits},
                     model.path, model.weights, warnings);
    Json devices = Json::array();
    for (const DeviceFit& fit : fits_of(model.spec, model.weights, wish.load))
      if (is_wanted(wish.device, fit.selector)) devices.push_back(fit_json(fit));
    fill(json, Json{{"model", model.path}, {"devices", devices}}.dump());
  });
}
