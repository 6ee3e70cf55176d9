// How much memory a piece of code asks for at once.
#pragma once

#include <cstddef>

namespace bitaxon {

/// The largest single `new` of the whole program since it was made.
class LargestAllocation {
 public:
  LargestAllocation();
  std::size_t size_bytes() const;
};

}  // namespace bitaxon
