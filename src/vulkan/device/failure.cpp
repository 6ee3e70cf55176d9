#include "vulkan/device/failure.h"

#include <algorithm>

#include "vulkan/device/result.h"

namespace bitaxon::vulkan {

void Failure::fail(const Error& error) {
  check();  // throws the earlier failure if a nested watch() has remembered one
  text_ = error.what();
  if (dynamic_cast<const DeviceLost*>(&error) != nullptr && n_submitted_ > 0) {
    text_ += "; last submitted: ";
    const std::size_t n = std::min(n_submitted_, labels_.size());
    for (std::size_t i = n_submitted_ - n; i < n_submitted_; ++i) {
      if (i != n_submitted_ - n) text_ += "; ";
      text_ += labels_[i % labels_.size()];
    }
  }
  throw Error(ErrorKind::device, text_);
}

}  // namespace bitaxon::vulkan
