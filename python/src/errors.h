// Turns errors of the engine into exceptions of Python.
#pragma once

#include <nanobind/nanobind.h>

#include <exception>

namespace bitaxon::python {

/// Thrown by work that was cancelled: an exception of Python ends the wait for it, or the interpreter
/// ends.
class Cancelled : public std::exception {
 public:
  const char* what() const noexcept override { return "the call was cancelled"; }
};

/// Makes every exception of the engine an exception of bit_axon._errors.
void add_errors(nanobind::module_& module);

}  // namespace bitaxon::python
