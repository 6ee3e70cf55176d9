#include "errors.h"

#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>

#include "bitaxon/error.h"
#include "bitaxon/memory.h"

namespace nb = nanobind;

namespace bitaxon::python {
namespace {

const char* class_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid_argument:
      return "InvalidArgument";
    case ErrorKind::unsupported:
      return "Unsupported";
    case ErrorKind::format:
      return "FormatError";
    case ErrorKind::io:
      return "IoError";
    case ErrorKind::device:
      return "DeviceError";
    case ErrorKind::internal:
      return "InternalError";
  }
  return "InternalError";
}

/// Sets the exception of Python that is raised when the call returns.
void raise(const char* name, const char* message) {
  const nb::object type = nb::module_::import_("bit_axon._errors").attr(name);
  PyErr_SetString(type.ptr(), message);
}

void translate(const std::exception_ptr& thrown, void*) {
  try {
    std::rethrow_exception(thrown);
  } catch (const OutOfMemory& error) {
    raise("OutOfMemory", error.what());
  } catch (const Error& error) {
    const bool is_missing = error.kind() == ErrorKind::io &&
                            std::string_view(error.what()).ends_with(std::strerror(ENOENT));
    raise(is_missing ? "NotFound" : class_of(error.kind()), error.what());
  } catch (const Cancelled& error) {
    raise("Interrupted", error.what());
  } catch (const std::bad_alloc&) {
    raise("OutOfMemory", "there is not enough memory");
  }
}

}  // namespace

void add_errors(nb::module_&) { nb::register_exception_translator(translate); }

}  // namespace bitaxon::python
