#ifndef BX_PARAMS_ATTENTION_H
#define BX_PARAMS_ATTENTION_H
#include "params/types.h"

#ifdef __cplusplus
namespace bitaxon::vulkan {
#endif

// Parameters of attention_split and attention_rows. A unit is four elements of a head.
struct AttentionPush {
  uint n_heads;     // heads of queries
  uint n_kv_heads;  // heads of keys and values
  uint head_dim;
  uint window;          // the most keys of a row; 0xffffffff without a window
  uint page_group;      // the page group of keys and values
  uint n_splits;        // the keys of a row are split into at most this many parts
  uint min_split_keys;  // the fewest keys of a part; only the last part may have fewer
  float scale;          // 1 / sqrt(head_dim)
};

// Specialization constants of attention_split and attention_rows.
#define BX_ATTENTION_GROUP_SIZE 0
#define BX_ATTENTION_HALF 1     // keys and values are float16
#define BX_ATTENTION_ALIGNED 2  // head_dim is a multiple of 4
#define BX_ATTENTION_LANES 3    // lanes that share a query: a power of two, within a subgroup
#define BX_ATTENTION_UNITS 4    // the number of units of a head that each lane holds
// The heads of queries in a workgroup. They use the same head of keys.
#define BX_ATTENTION_SHARED 5

#ifdef __cplusplus
}  // namespace bitaxon::vulkan
#endif
#endif
