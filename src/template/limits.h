// The limits of one rendering: steps, nesting, memory and output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "bitaxon/chat_template.h"

namespace bitaxon::jinja {

/// A fault that stops a rendering. The message is one line without the name of the template.
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A fault of the JSON that a rendering is given. The message names the JSON, not the template.
class InputFault : public Fault {
 public:
  using Fault::Fault;
};

/// Thrown by raise_exception(). The message is the template's own text for the user.
class Raised : public Fault {
 public:
  using Fault::Fault;
};

/// Counts what a rendering uses and throws Fault when a limit is exceeded. Values find the meter of
/// their thread through Meter::current(), so that no allocation can escape it.
class Meter {
 public:
  explicit Meter(const ChatTemplateLimits& limits);
  ~Meter();
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  /// The meter of this thread. Null while nothing is rendered, for example while parsing.
  static Meter* current();

  void step(std::uint64_t count);
  void allocate(std::size_t bytes);
  void release(std::size_t bytes);
  /// Throws if `bytes` more could not be allocated.
  void expect_room(std::size_t bytes) const;
  void enter();
  void leave();
  const ChatTemplateLimits& limits() const { return limits_; }

 private:
  ChatTemplateLimits limits_;
  std::uint64_t steps_ = 0;
  std::size_t live_bytes_ = 0;
  int depth_ = 0;
  Meter* outer_;
};

/// Counts steps of work. Long operations count a step for every few bytes or items.
inline void count_steps(std::uint64_t count) {
  if (Meter* meter = Meter::current()) meter->step(count);
}

/// Throws Fault if a value of `bytes` bytes would exceed the memory of the rendering.
inline void expect_room(std::size_t bytes) {
  if (const Meter* meter = Meter::current()) meter->expect_room(bytes);
}

/// One level of nesting of the interpreter.
class Nested {
 public:
  Nested() : meter_(Meter::current()) {
    if (meter_) meter_->enter();
  }
  ~Nested() {
    if (meter_) meter_->leave();
  }
  Nested(const Nested&) = delete;
  Nested& operator=(const Nested&) = delete;

 private:
  Meter* meter_;
};

/// The memory of one value. It is given back when the value dies.
class Charge {
 public:
  Charge() = default;
  explicit Charge(std::size_t bytes) {
    if (Meter* meter = Meter::current()) {
      meter->allocate(bytes);
      bytes_ = bytes;
    }
  }
  ~Charge() {
    if (Meter* meter = Meter::current(); meter && bytes_ > 0) meter->release(bytes_);
  }
  Charge(Charge&& other) noexcept : bytes_(other.bytes_) { other.bytes_ = 0; }
  Charge& operator=(Charge&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }

 private:
  std::size_t bytes_ = 0;
};

}  // namespace bitaxon::jinja
