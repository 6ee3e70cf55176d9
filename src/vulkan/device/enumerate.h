// Queries the lists of Vulkan. A list takes two calls: the first call returns the length of the
// list, the second returns the elements.
#pragma once

#include <string_view>
#include <vector>

#include "vulkan/device/result.h"

namespace bitaxon::vulkan {

/// Returns a list. `query(&n, items)` makes one call. `item` is the initial value of the elements,
/// with their sType. If the list grows between the two calls (VK_INCOMPLETE), it is queried again.
template <class T, class Query>
std::vector<T> enumerate(std::string_view call, std::string_view object, const Query& query,
                         const T& item = {}) {
  std::vector<T> items;
  VkResult result = VK_INCOMPLETE;
  while (result == VK_INCOMPLETE) {
    std::uint32_t n = 0;
    check(query(&n, nullptr), call, object);
    items.assign(n, item);
    if (n == 0) return items;
    result = query(&n, items.data());
    check(result, call, object);
    items.resize(n);
  }
  return items;
}

}  // namespace bitaxon::vulkan
