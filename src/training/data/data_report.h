// Describes a data set for people and for programs.
#pragma once

#include <string>

#include "formats/json_fwd.h"
#include "training/data/dataset.h"

namespace bitaxon {

/// The survey as lines of a table.
std::string survey_text(const DataSurvey& survey, const DataOptions& options);
/// The part of survey_text() about tokens and lengths.
std::string counts_text(const DataSurvey& survey, const DataOptions& options);
/// The survey as a JSON object.
Json survey_json(const DataSurvey& survey);
/// An example with its targets marked: in colour, or between {+ and +}. Control characters other than
/// line feeds are escaped.
std::string example_text(const Dataset& data, std::size_t index, bool colour);

}  // namespace bitaxon
