// Helpers for the structures of Vulkan and for the linked lists (pNext) that extend them.
#pragma once

#include "vulkan/device/functions.h"

namespace bitaxon::vulkan {

/// A T with its sType set and everything else zero. (T{type} causes a warning for each omitted
/// member.)
template <class T>
T structure(VkStructureType type) {
  T structure{};
  structure.sType = type;
  return structure;
}

/// Appends to the pNext list of `head`. The head and all added structures must not move.
class Chain {
 public:
  template <class Head>
  explicit Chain(Head& head) : end_(&head.pNext) {}

  template <class T>
  void add(T& structure) {
    *end_ = &structure;
    end_ = &structure.pNext;
  }

 private:
  void** end_;
};

}  // namespace bitaxon::vulkan
