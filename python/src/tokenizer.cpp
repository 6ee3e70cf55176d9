// Tokenizers and chat templates.
#include "bitaxon/tokenizer.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include "bitaxon/chat_template.h"
#include "bitaxon/error.h"
#include "bitaxon/session.h"
#include "loaded_model.h"
#include "options.h"
#include "parts.h"
#include "session/model_source.h"
#include "tokenizer_handle.h"
#include "waiting.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bitaxon::python {
namespace {

using Ids = std::vector<std::int32_t>;

/// Longer texts take so long that Ctrl-C must be able to end the wait.
constexpr std::size_t kLongText = 20'000;

template <class Work>
auto in_background_if(bool is_long, Work work) {
  if (is_long) return in_background(std::move(work));
  const Unlocked unlocked;
  return work();
}

nb::str to_str(const std::string& text) { return nb::str(text.data(), text.size()); }

/// The tokenizer at a path, or of a hub id, and the folder that it is in.
std::pair<TokenizerHandle, std::string> load(const std::string& name) {
  const std::filesystem::path path = find_tokenizer_path(name, "tokenizer");
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored))
    return {TokenizerHandle(Tokenizer::load(path)), path.parent_path().string()};
  auto found = Tokenizer::find(path);
  if (!found)
    throw Error(ErrorKind::io, "tokenizer " + name +
                                   ": expected tokenizer.json or tokenizer.model in the folder, "
                                   "found neither");
  return {TokenizerHandle(*std::move(found)), path.string()};
}

/// A rendered conversation: its text, and the ranges of bytes that users wrote.
nb::tuple render(const JinjaTemplate& chat, const std::string& messages, const std::string& tools,
                 bool add_generation_prompt,
                 const std::vector<std::pair<std::string, std::string>>& variables) {
  ChatTemplateInput input;
  input.messages = messages;
  input.tools = tools;
  input.add_generation_prompt = add_generation_prompt;
  input.variables = variables;
  ChatText text;
  {
    const Unlocked unlocked;
    text = chat.render(input);
  }
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  for (const TextRange& range : text.input) ranges.emplace_back(range.begin, range.end);
  return nb::make_tuple(to_str(text.text), ranges);
}

using Ranges = std::vector<std::pair<std::size_t, std::size_t>>;

std::vector<TextRange> ranges_of(const Ranges& pairs) {
  std::vector<TextRange> ranges;
  for (const auto& [begin, end] : pairs) ranges.push_back({begin, end});
  return ranges;
}

Ids encode(const TokenizerHandle& handle, const std::string& text, bool add_special,
           const Ranges& plain) {
  return in_background_if(text.size() > kLongText, [handle, text, add_special, plain] {
    const std::vector<TextRange> ranges = ranges_of(plain);
    return handle.tokenizer.encode(text, {.add_special = add_special, .plain = ranges});
  });
}

/// The vocabulary that the model has with a tokenizer.
Vocabulary vocabulary_of(LoadedModel& model, const TokenizerHandle& handle) {
  const auto made = std::make_shared<std::optional<Vocabulary>>();
  model.run([&model, handle, made](const std::atomic<bool>&) { *made = model.vocabulary(handle); });
  return **made;
}

/// The ids of the model for a text, which differ from those of the tokenizer in a model that was
/// ported from another vocabulary.
Ids encode_for(LoadedModel& model, const TokenizerHandle& handle, const std::string& text,
               bool add_special, const Ranges& plain) {
  const Vocabulary vocabulary = vocabulary_of(model, handle);
  return in_background_if(text.size() > kLongText, [vocabulary, text, add_special, plain] {
    const std::vector<TextRange> ranges = ranges_of(plain);
    return vocabulary.encode(text, {.add_special = add_special, .plain = ranges});
  });
}

nb::str decode(const TokenizerHandle& handle, const Ids& ids, bool skip_special) {
  return to_str(in_background_if(ids.size() > kLongText, [handle, ids, skip_special] {
    return handle.tokenizer.decode(ids, skip_special);
  }));
}

}  // namespace

void add_tokenizer(nb::module_& module) {
  nb::class_<TokenizerHandle>(module, "Tokenizer")
      .def("encode", encode, "text"_a, "add_special"_a = false, "plain"_a = Ranges())
      .def("decode", decode, "ids"_a, "skip_special"_a = false)
      .def("token_id", [](const TokenizerHandle& handle,
                          const std::string& token) { return handle.tokenizer.token_id(token); })
      .def_prop_ro("vocab_size",
                   [](const TokenizerHandle& handle) { return handle.tokenizer.vocab_size(); })
      .def_prop_ro("ends", [](const TokenizerHandle& handle) {
        return handle.tokenizer.ends_of_sequence();
      });
  nb::class_<JinjaTemplate>(module, "ChatTemplate")
      .def("render", render)
      .def_prop_ro("origin", &JinjaTemplate::origin)
      .def("uses", &JinjaTemplate::uses);
  module.def("load_tokenizer", [](const nb::object& name) {
    const auto [handle, folder] = load(path_of(name));
    return nb::make_tuple(handle, to_path(folder));
  });
  module.def("byte_tokenizer", [] { return TokenizerHandle(Tokenizer::bytes()); });
  module.def("chatml", &JinjaTemplate::chatml);
  module.def("find_chat_template", [](const nb::object& folder, const TokenizerHandle& handle) {
    return find_chat_template(path_of(folder), handle.tokenizer);
  });
  module.def("encode_for", encode_for);
  module.def("decode_for", [](LoadedModel& model, const TokenizerHandle& handle, const Ids& ids) {
    return to_str(vocabulary_of(model, handle).decode(ids, false));
  });
  module.def("ends_for", [](LoadedModel& model, const TokenizerHandle& handle) {
    return vocabulary_of(model, handle).ends_of_sequence();
  });
}

}  // namespace bitaxon::python
