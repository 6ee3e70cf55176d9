// The one exception type of the library.
#pragma once

#include <stdexcept>
#include <string>

#include "bitaxon/export.h"

namespace bitaxon {

enum class ErrorKind {
  invalid_argument,  ///< the caller passed a value that is not accepted
  unsupported,       ///< the request is valid, but this build or device cannot do it
  format,            ///< a file's contents break its format
  io,                ///< the operating system refused a file or a stream
  device,            ///< a backend failed while computing
  internal,          ///< a fault of the library itself: a broken invariant
};

/// Every exception that the library throws on purpose is an Error. `what()` is one line that names
/// the thing, the expected value and the value found. It has the form
/// "[op] argument: expected ..., got ...", or for files "name: at byte N: ...".
class BX_API Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace bitaxon
