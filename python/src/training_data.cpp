// Examples for training: files that the engine reads, and tokens of Python.
#include "training_data.h"

#include <fmt/format.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <utility>

#include "bitaxon/error.h"
#include "options.h"
#include "parts.h"
#include "training/data/order.h"
#include "training_options.h"
#include "waiting.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace bitaxon::python {
namespace {

using Ids = std::vector<std::int32_t>;

nb::list mask_of(const MaskedTokens& tokens) {
  nb::list mask;
  for (const bool is_target : tokens.is_target) mask.append(is_target ? 1 : 0);
  return mask;
}

/// (ids, mask), or for ORPO also those of the rejected text; then the unmapped tokens.
nb::tuple encode(const OpenExamples& examples, std::size_t index) {
  const EncodedExample found =
      in_background([data = examples.data, index] { return data.encode(index); });
  return nb::make_tuple(found.text.ids, mask_of(found.text), found.rejected.ids,
                        mask_of(found.rejected), found.unmapped);
}

OpenExamples open(const std::vector<std::string>& paths, const TokenizerHandle& tokenizer,
                  const JinjaTemplate& chat_template, const std::string& mapping,
                  const nb::dict& options) {
  return in_background(
      [files = ExampleFiles{paths, tokenizer, chat_template, mapping, data_options_of(options)}] {
        return OpenExamples{files, files.open()};
      });
}

/// Ids and marks as Python has them.
MaskedTokens tokens_of(const nb::handle& ids, const nb::handle& mask, const std::string& place) {
  MaskedTokens tokens;
  std::vector<double> marks;
  if (!nb::try_cast(ids, tokens.ids) || !nb::try_cast(mask, marks))
    throw Error(ErrorKind::invalid_argument,
                place + ": expected lists of token ids and of a loss mask");
  for (const double mark : marks) tokens.is_target.push_back(mark != 0);
  return tokens;
}

}  // namespace

Dataset ExampleFiles::open() const {
  // A model that is not known yet may have any token of the tokenizer, or any of the mapping.
  const std::int64_t n = mapping.empty() ? tokenizer.tokenizer.vocab_size() : INT32_MAX;
  return Dataset::open(paths, Vocabulary(tokenizer.tokenizer, mapping, n), chat_template, options);
}

Dataset ExampleFiles::open_for(const std::string& of_model, std::int64_t vocab_size,
                               std::int64_t max_seq_len) const {
  DataOptions cut = options;
  cut.max_seq_len = std::min(cut.max_seq_len, max_seq_len);
  const std::string& wanted = mapping.empty() ? of_model : mapping;
  return Dataset::open(paths, Vocabulary(tokenizer.tokenizer, wanted, vocab_size), chat_template,
                       cut);
}

std::vector<EncodedExample> examples_of(const nb::object& list, Objective objective) {
  const std::size_t n_parts = objective == Objective::orpo ? 4 : 2;
  std::vector<EncodedExample> examples;
  for (const nb::handle item : list) {
    const std::string place = fmt::format("dataset[{}]", examples.size());
    nb::sequence parts;
    if (!nb::try_cast(item, parts) || nb::len(parts) != n_parts)
      throw Error(ErrorKind::invalid_argument,
                  fmt::format("{}: expected {}", place,
                              n_parts == 2 ? "(token_ids, loss_mask)"
                                           : "(chosen_ids, chosen_mask, rejected_ids, "
                                             "rejected_mask)"));
    EncodedExample example;
    example.text = tokens_of(nb::object(parts[0]), nb::object(parts[1]), place);
    if (n_parts == 4)
      example.rejected = tokens_of(nb::object(parts[2]), nb::object(parts[3]), place);
    examples.push_back(std::move(example));
  }
  return examples;
}

void add_training_data(nb::module_& module) {
  nb::class_<OpenExamples>(module, "Examples")
      .def("__len__", [](const OpenExamples& examples) { return examples.data.size(); })
      .def("place_of", [](const OpenExamples& examples,
                          std::size_t index) { return examples.data.place_of(index); })
      .def("form_of", [](const OpenExamples& examples,
                         std::size_t index) { return std::string(examples.data.form_of(index)); })
      .def("encode", encode);
  module.def("open_examples", open, "paths"_a, "tokenizer"_a, "chat_template"_a, "mapping"_a,
             "options"_a);
  module.def("shuffled_order", shuffled_order, "n"_a, "seed"_a, "epoch"_a);
}

}  // namespace bitaxon::python
