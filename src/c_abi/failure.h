// Exceptions become statuses here, so that none leaves a C function.
#pragma once

#include <stdexcept>
#include <string>

#include "bitaxon/c/types.h"

namespace bitaxon::c {

/// A failure with a status that no ErrorKind stands for.
class Failure : public std::runtime_error {
 public:
  Failure(bitaxon_status status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  bitaxon_status status() const noexcept { return status_; }

 private:
  bitaxon_status status_;
};

/// Throws Failure(INVALID_ARGUMENT).
[[noreturn]] void refuse(const std::string& message);

/// Sets the error text of this thread to that of the exception that is being handled, and returns
/// its status. Call this in a catch block.
bitaxon_status report_exception() noexcept;
/// Sets the error text of this thread to "".
void clear_error() noexcept;
const char* error_text() noexcept;

/// Runs the body of a C function.
template <class Body>
bitaxon_status guard(const Body& body) noexcept {
  try {
    body();
  } catch (...) {
    return report_exception();
  }
  clear_error();
  return BITAXON_STATUS_OK;
}

}  // namespace bitaxon::c
