#include "eager/device.h"

#include "bitaxon/error.h"

namespace bitaxon {

std::unique_lock<std::mutex> EagerDevice::lock() {
  std::unique_lock held(mutex_);
  drop_all();
  return held;
}

void EagerDevice::drop(std::shared_ptr<const void> object) {
  {
    const std::lock_guard held(dropped_mutex_);
    dropped_.push_back(std::move(object));
  }
  const std::unique_lock held(mutex_, std::try_to_lock);
  if (held.owns_lock()) drop_all();
}

void EagerDevice::drop_all() {
  std::vector<std::shared_ptr<const void>> dropped;
  const std::lock_guard held(dropped_mutex_);
  dropped.swap(dropped_);
}

void EagerDevice::check_cancelled() const {
  if (cancelled_ != nullptr && *cancelled_)
    throw Error(ErrorKind::device, "the call was cancelled");
}

}  // namespace bitaxon
