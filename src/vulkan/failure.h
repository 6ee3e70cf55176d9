// What remains when the device has failed.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "bitaxon/error.h"

namespace bitaxon::vulkan {

/// Remembers the first failure of work on the device, so that everything after it fails with the
/// same Error: what would have been computed or copied is missing from then on.
class Failure {
 public:
  /// Throws the Error that is remembered.
  void check() const {
    if (!text_.empty()) throw Error(ErrorKind::device, text_);
  }
  bool happened() const { return !text_.empty(); }
  /// Notes the label of what is handed to the device next.
  void submitting(std::string label) {
    labels_[n_submitted_++ % labels_.size()] = std::move(label);
  }
  /// Runs work on the device. Its Error(device) is remembered; that of a lost device lists the
  /// labels submitted last.
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
