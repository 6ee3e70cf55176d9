// Remembers the first failure of the device.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "bitaxon/error.h"

namespace bitaxon::vulkan {

/// Remembers the first failure of work on the device. All later work fails with the same Error,
/// because the results of the failed work are missing.
class Failure {
 public:
  /// Throws the remembered Error, if there is one.
  void check() const {
    if (!text_.empty()) throw Error(ErrorKind::device, text_);
  }
  bool happened() const { return !text_.empty(); }
  /// Remembers the label of a submission that is about to be made.
  void submitting(std::string label) {
    labels_[n_submitted_++ % labels_.size()] = std::move(label);
  }
  /// Calls act(), which does work on the device. If it throws Error(device), remembers this error.
  /// If the device is lost, the message lists the labels of the last submissions.
  template <class Act>
  void watch(const Act& act) {
    try {
      act();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::device) throw;
      fail(error);
    }
  }

 private:
  [[noreturn]] void fail(const Error& error);

  std::string text_;
  std::array<std::string, 3> labels_;
  std::size_t n_submitted_ = 0;
};

}  // namespace bitaxon::vulkan
