// A backend that a test owns, as a model takes it.
#pragma once

#include <memory>

#include "core/backend.h"

namespace bitaxon::test {

/// Does not own `backend`, which must outlive the models and states that get it.
inline std::shared_ptr<Backend> borrowed(Backend& backend) {
  return {std::shared_ptr<void>(), &backend};
}

}  // namespace bitaxon::test
