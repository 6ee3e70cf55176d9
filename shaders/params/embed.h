#ifndef BX_PARAMS_EMBED_H
#define BX_PARAMS_EMBED_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

struct EmbedPush {
  WeightAddress table;
  uint vocab_size;
  uint d_embedding;
  uint n_words;    // the size of a set of seen tokens in words
  uint seen_slot;  // all strides are in words
  uint seen_version;
  uint token_slot;
  uint token_version;
};

// Specialization constants.
#define BX_EMBED_GROUP_SIZE 0
#define BX_EMBED_FORM 1

// The z index of a workgroup says what the workgroup does: it looks up embeddings, or it records
// which tokens were seen.
#define BX_EMBED_LOOK_UP 0u
#define BX_EMBED_RECORD 1u

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
