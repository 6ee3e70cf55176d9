#include "template/arguments.h"

#include <fmt/format.h>

#include <algorithm>

namespace bitaxon::jinja {

BoundArguments::BoundArguments(std::string_view function, const Arguments& arguments,
                               std::initializer_list<std::string_view> parameters,
                               std::size_t required)
    : function_(function), values_(parameters.size(), nullptr) {
  if (arguments.positional.size() > parameters.size())
    throw Fault(fmt::format("{}() takes at most {} arguments, got {}", function, parameters.size(),
                            arguments.positional.size()));
  for (std::size_t i = 0; i < arguments.positional.size(); ++i)
    values_[i] = &arguments.positional[i];
  for (const auto& [name, value] : arguments.named) {
    const auto* place = std::find(parameters.begin(), parameters.end(), name);
    if (place == parameters.end())
      throw Fault(fmt::format("{}() got an unexpected keyword argument '{}'", function, name));
    const Value*& slot = values_[static_cast<std::size_t>(place - parameters.begin())];
    if (slot)
      throw Fault(fmt::format("{}() got multiple values for argument '{}'", function, name));
    slot = &value;
  }
  for (std::size_t i = 0; i < required; ++i)
    if (!values_[i])
      throw Fault(
          fmt::format("{}() missing required argument '{}'", function, parameters.begin()[i]));
}

Value BoundArguments::value(std::size_t parameter, Value fallback) const {
  return has(parameter) ? (*this)[parameter] : std::move(fallback);
}

bool BoundArguments::flag(std::size_t parameter, bool fallback) const {
  return has(parameter) ? truth((*this)[parameter]) : fallback;
}

std::int64_t BoundArguments::integer(std::size_t parameter, std::int64_t fallback) const {
  return has(parameter) ? index_value((*this)[parameter]) : fallback;
}

const Text& BoundArguments::text(std::size_t parameter) const {
  const Value& value = (*this)[parameter];
  if (value.is_undefined()) fail_undefined(value);
  if (!value.is(Kind::text))
    throw Fault(fmt::format("{}() expected a str, got {}", function_, type_name(value)));
  return value.as_text();
}

std::int64_t index_value(const Value& value) {
  if (value.is_undefined()) fail_undefined(value);
  if (!value.is_integral())
    throw Fault(fmt::format("'{}' object cannot be interpreted as an integer", type_name(value)));
  return value.as_integer().clamped();
}

}  // namespace bitaxon::jinja
