// Vulkan's structures, and the linked lists (pNext) that extend them.
#pragma once

#include "vulkan/functions.h"

namespace bitaxon::vulkan {

/// A T that has its type and is else zero. (T{type} draws a warning for each member left out.)
template <class T>
T structure(VkStructureType type) {
  T structure{};
  structure.sType = type;
  return structure;
}

/// Appends to the list of `head`, which with all that is added stays where it is.
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
