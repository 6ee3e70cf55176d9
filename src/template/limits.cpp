#include "template/limits.h"

#include <fmt/format.h>

#include <algorithm>

namespace bitaxon::jinja {
namespace {

thread_local Meter* current_meter = nullptr;

}  // namespace

Meter::Meter(const ChatTemplateLimits& limits) : limits_(limits), outer_(current_meter) {
  current_meter = this;
}

Meter::~Meter() { current_meter = outer_; }

Meter* Meter::current() { return current_meter; }

void Meter::step(std::uint64_t count) {
  steps_ += std::min(count, limits_.max_steps + 1);
  if (steps_ > limits_.max_steps)
    throw Fault(fmt::format("expected at most {} steps, got more", limits_.max_steps));
}

void Meter::expect_room(std::size_t bytes) const {
  if (bytes > limits_.max_memory_bytes || live_bytes_ > limits_.max_memory_bytes - bytes)
    throw Fault(
        fmt::format("expected at most {} bytes of values, got more", limits_.max_memory_bytes));
}

void Meter::allocate(std::size_t bytes) {
  expect_room(bytes);
  live_bytes_ += bytes;
}

void Meter::release(std::size_t bytes) { live_bytes_ -= std::min(bytes, live_bytes_); }

void Meter::enter() {
  step(1);
  if (depth_ >= limits_.max_depth)
    throw Fault(fmt::format("expected at most {} levels of nesting, got more", limits_.max_depth));
  ++depth_;
}

void Meter::leave() { --depth_; }

}  // namespace bitaxon::jinja
