#include "bitaxon/c/bitaxon.h"
#include "c_abi/load_options.h"
#include "c_abi/loaded_model.h"
#include "c_abi/log.h"
#include "c_abi/structs.h"
#include "formats/json.h"

using namespace bitaxon;
using namespace bitaxon::c;

namespace {

Session open(const FoundModel& found, const LoadWish& wish) {
  const OpenedDevice device = open_device(wish.device, {.n_threads = wish.n_threads});
  Session session = load_session(found, device, wish.load);
  session.vocabulary = vocabulary_of(found, session.model);
  std::vector<std::string> notes;
  if (found.source && !found.source->note.empty()) notes.push_back(found.source->note);
  if (found.tokenizer && !found.tokenizer->note().empty()) notes.push_back(found.tokenizer->note());
  if (!device.reason.empty()) notes.push_back(device_note(device));
  session.notes.insert(session.notes.begin(), notes.begin(), notes.end());
  return session;
}

Json info_of(const LoadedModel& loaded) {
  const Session& session = loaded.session;
  const Model& model = session.model;
  const BackendCaps& caps = caps_of(*session.backend);
  return {{"model", session.model_name},
          {"family", model.spec().family},
          {"device", caps.name},
          {"device_name", caps.device},
          {"threads", caps.n_threads},
          {"precision", name_of(model.precision())},
          {"format", model.main_format()},
          {"vocab_size", model.spec().vocab_size},
          {"context", model.context()},
          {"states", loaded.n_states()},
          {"run_ahead", model.run_ahead()},
          {"weights_bytes", model.packed_bytes()},
          {"state_bytes", model.state_bytes()},
          {"activation_bytes", model.arena_bytes()},
          {"bytes_per_token", model.bytes_per_token()},
          {"tokenizer", loaded.text ? Json(loaded.text->vocabulary.tokenizer().kind()) : Json()},
          {"config", Json::parse(model.spec().config)},
          {"notes", session.notes},
          {"warnings", session.warnings}};
}

}  // namespace

bitaxon_status bitaxon_model_open(const char* name, uint64_t name_size,
                                  const bitaxon_model_options* options, bitaxon_model** model) {
  return guard([&] {
    not_null(model, "model");
    const auto known = options_of(options, "options");
    const ModelRequest request = request_of(name_of(name, name_size, "name"), known);
    const LoadWish wish = load_wish(known);
    FoundModel found = find_model(request);
    read_tokenizer(found);
    const auto n_states = static_cast<std::size_t>(known.slots + known.forks);
    auto loaded = std::make_shared<LoadedModel>(open(found, wish), n_states);
    loaded->info = info_of(*loaded).dump();
    log_lines(BITAXON_LOG_NOTE, loaded->session.notes);
    log_lines(BITAXON_LOG_WARNING, loaded->session.warnings);
    give(model, loaded);
  });
}

void bitaxon_model_free(bitaxon_model* model) { delete model; }

bitaxon_status bitaxon_model_info(bitaxon_model* model, bitaxon_buffer* json) {
  return guard([&] {
    const LoadedModel& loaded = *not_null(model, "model").loaded;
    not_null(json, "json");
    fill(json, loaded.info);
  });
}

int64_t bitaxon_model_vocab_size(const bitaxon_model* model) {
  return model == nullptr ? 0 : model->loaded->session.model.spec().vocab_size;
}

int64_t bitaxon_model_context(const bitaxon_model* model) {
  return model == nullptr ? 0 : model->loaded->session.model.context();
}

bitaxon_status bitaxon_model_tokenizer(bitaxon_model* model, bitaxon_tokenizer** tokenizer) {
  return guard([&] {
    const auto& text = not_null(model, "model").loaded->text;
    not_null(tokenizer, "tokenizer");
    if (!text) throw Failure(BITAXON_STATUS_UNSUPPORTED, "the model has no tokenizer");
    give(tokenizer, text);
  });
}
