// Options that Python passes as a dictionary.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <type_traits>

#include "bitaxon/error.h"
#include "bitaxon/sampler_params.h"

namespace bitaxon::python {

/// What values of a type are called in messages.
template <class T>
constexpr const char* expected_of() {
  if constexpr (std::is_same_v<T, bool>) return "True or False";
  if constexpr (std::is_same_v<T, int>) return "32 bits";
  if constexpr (std::is_integral_v<T>) return "64 bits";
  if constexpr (std::is_floating_point_v<T>) return "a number";
  return "another type";
}

/// Sets `value` to an option, if it is given and not None. Throws Error(invalid_argument) for a value
/// of another type and for a number that is too large.
template <class T>
void take(const nanobind::dict& options, const char* key, T& value,
          const char* expected = expected_of<T>()) {
  if (!options.contains(key) || options[key].is_none()) return;
  if (!nanobind::try_cast(options[key], value))
    throw Error(ErrorKind::invalid_argument, std::string(key) + ": expected a value of " +
                                                 expected + ", got " +
                                                 nanobind::repr(options[key]).c_str());
}

/// A path as the system takes it. `path` is a str, bytes or os.PathLike.
inline std::string path_of(const nanobind::object& path) {
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(path.ptr(), &bytes) == 0) throw nanobind::python_error();
  const auto held = nanobind::steal<nanobind::bytes>(bytes);
  return {held.c_str(), held.size()};
}

/// A path as a str of Python, which may hold bytes that are no UTF-8.
inline nanobind::object to_path(const std::string& path) {
  return nanobind::steal(
      PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size())));
}

inline SamplerParams sampler_of(const nanobind::dict& options) {
  SamplerParams sampler;
  take(options, "temperature", sampler.temperature);
  take(options, "top_k", sampler.top_k);
  take(options, "top_p", sampler.top_p);
  take(options, "min_p", sampler.min_p);
  take(options, "repetition_penalty", sampler.repetition_penalty);
  take(options, "seed", sampler.seed);
  return sampler;
}

}  // namespace bitaxon::python
