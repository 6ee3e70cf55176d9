// The settings of a training that Python passes as a dictionary.
#pragma once

#include <nanobind/nanobind.h>

#include "session/training.h"

namespace bitaxon::python {

// The keys are named like the members of the settings. Settings without a key keep their defaults.
// Each function throws Error(invalid_argument) that begins with the key of a wrong value.

AdapterSettings adapter_settings_of(const nanobind::dict& options);
OptimizerSettings optimizer_settings_of(const nanobind::dict& options);
DataOptions data_options_of(const nanobind::dict& options);
/// Everything but model and examples.
TrainRequest train_request_of(const nanobind::dict& options);

/// The words that options have as values, by the keys of the options.
nanobind::dict setting_words();

}  // namespace bitaxon::python
