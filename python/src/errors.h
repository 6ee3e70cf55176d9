// Turns errors of the engine into exceptions of Python.
#pragma once

#include <nanobind/nanobind.h>

namespace bitaxon::python {

/// Makes every exception of the engine an exception of bit_axon._errors.
void add_errors(nanobind::module_& module);

}  // namespace bitaxon::python
