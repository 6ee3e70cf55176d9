//   y[r, :] = table[id[r], :];   seen_out = seen_in | {id[r]}
#include "ops/embed.h"

#include <algorithm>

#include "cpu/products.h"

namespace bitaxon::cpu {
namespace {

void run(const KernelArgs& args) {
  using namespace embed_operand;
  const PackedWeight& rows = args.weight(table);
  const std::int64_t vocab_size = rows.desc.rows;
  const std::int64_t cols = rows.desc.cols;
  const std::int64_t words = args.shape(seen)[0];
  for (const SegmentWords& segment : args.segments()) {
    const bool keeps = segment.keeps_state != 0;
    auto* bits = args.state<std::uint32_t>(seen, segment, segment.write_version);
    if (keeps && segment.position == 0) {
      std::fill_n(bits, words, 0U);
    } else if (keeps && segment.read_version != segment.write_version) {
      std::copy_n(args.state<std::uint32_t>(seen, segment, segment.read_version), words, bits);
    }
    for (std::uint32_t i = 0; i < segment.n_rows; ++i) {
      const std::uint32_t row = segment.first_row + i;
      const std::int32_t id =
          segment.ids_from_state != 0
              ? *args.state<std::int32_t>(next_token, segment, segment.read_version)
              : args.step.ids[row];
      float* out = args.data(y) + row * cols;
      // Ids from the host are valid. A sampled token may be -1, which means that its logits were
      // not finite.
      if (id < 0 || id >= vocab_size) {
        std::fill_n(out, cols, 0.0F);
        continue;
      }
      if (keeps) bits[id / 32] |= 1U << (id % 32);
      decode_row(rows, 0, id, out);
    }
  }
}

}  // namespace

const CpuKernel embed_kernel = kernel_without_scratch(run);

}  // namespace bitaxon::cpu
