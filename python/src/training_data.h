// Examples for training that Python holds.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/chat_template.h"
#include "tokenizer_handle.h"
#include "training/data/dataset.h"

namespace bitaxon::python {

/// Files of examples, with what encodes them.
struct ExampleFiles {
  std::vector<std::string> paths;
  TokenizerHandle tokenizer;
  JinjaTemplate chat_template;
  std::string mapping;  ///< the text of a vocab_mapping; empty for the one of the model
  DataOptions options;

  /// The examples with the ids of the mapping, else of the tokenizer.
  Dataset open() const;
  /// The examples with the ids of a model whose vocabulary has `vocab_size` tokens, at most
  /// `max_seq_len` tokens of each. `of_model` is the model's own vocab_mapping.
  Dataset open_for(const std::string& of_model, std::int64_t vocab_size,
                   std::int64_t max_seq_len) const;
};

/// Files that were opened.
struct OpenExamples {
  ExampleFiles files;
  Dataset data;
};

/// A list of (ids, mask), or for ORPO of (ids, mask, rejected ids, rejected mask). Throws
/// Error(invalid_argument) for another object.
std::vector<EncodedExample> examples_of(const nanobind::object& list, Objective objective);

}  // namespace bitaxon::python
