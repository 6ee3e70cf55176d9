#pragma once

namespace bitaxon {

struct CrossEntropyParams {};

namespace cross_entropy_operand {
enum : int { logits, factors, log_probs, g_logits };
}

}  // namespace bitaxon
