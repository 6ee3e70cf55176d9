#include "core/backend.h"

namespace bitaxon {

const BackendCaps& caps_of(const Backend& backend) { return backend.caps(); }

}  // namespace bitaxon
