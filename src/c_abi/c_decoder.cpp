#include "bitaxon/c/bitaxon.h"
#include "c_abi/loaded_model.h"

using namespace bitaxon;
using namespace bitaxon::c;

struct bitaxon_decoder {
  std::shared_ptr<const TextTools> text;
  StreamDecoder decoder;
};

bitaxon_status bitaxon_decoder_new(bitaxon_tokenizer* tokenizer, uint32_t flags,
                                   bitaxon_decoder** decoder) {
  return guard([&] {
    const auto& text = not_null(tokenizer, "tokenizer").text;
    not_null(decoder, "decoder");
    check_flags(flags, BITAXON_DETOKENIZE_SKIP_SPECIAL);
    give(decoder, text, StreamDecoder(text->vocabulary.tokenizer(), flags != 0));
  });
}

bitaxon_status bitaxon_decoder_push(bitaxon_decoder* decoder, int32_t id, bitaxon_buffer* text) {
  return guard([&] {
    bitaxon_decoder& own = not_null(decoder, "decoder");
    not_null(text, "text");
    fill(text, own.decoder.push(own.text->vocabulary.to_tokenizer(id)));
  });
}

bitaxon_status bitaxon_decoder_finish(bitaxon_decoder* decoder, bitaxon_buffer* text) {
  return guard([&] {
    bitaxon_decoder& own = not_null(decoder, "decoder");
    not_null(text, "text");
    fill(text, own.decoder.finish());
  });
}

void bitaxon_decoder_free(bitaxon_decoder* decoder) { delete decoder; }
