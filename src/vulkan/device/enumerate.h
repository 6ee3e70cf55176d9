// Queries lists that Vulkan returns in two calls. The first call returns the length.
#pragma once

#include <string_view>
#include <vector>

#include "vulkan/device/result.h"

namespace bitaxon::vulkan {

/// `query(&n, items)` is the call. `item` is the initial value of the elements, with their sType. A
/// list that grows between the two calls (VK_INCOMPLETE) is queried again.
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
