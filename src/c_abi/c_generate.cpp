#include "bitaxon/c/bitaxon.h"
#include "c_abi/generation.h"

using namespace bitaxon;
using namespace bitaxon::c;

bitaxon_status bitaxon_generate(bitaxon_state* state, const int32_t* prompt, uint64_t n_prompt,
                                const bitaxon_generate_options* options, bitaxon_buffer* text,
                                bitaxon_buffer* ids, bitaxon_generate_result* result) {
  return guard([&] {
    StateUse use(state);
    const Answer answer(text, ids, result);
    const Wish wish(use.session(), prompt, n_prompt, options);
    use.state().check_room(static_cast<std::int64_t>(wish.prompt.size()));
    Generated generated = run(wish, use.session(), use.state(), {}, nullptr);
    answer.give(generated.result);
    generated.commit(use.state());
  });
}
