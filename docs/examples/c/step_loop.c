/* step_loop MODEL PROMPT: draws tokens itself from the logits of each step, here always the likeliest
 * one. The decoder turns them into text that never ends within a character. */
#include <bitaxon/c/bitaxon.h>
#include <stdio.h>
#include <string.h>

static int ok(bitaxon_status status) {
  if (status != BITAXON_STATUS_OK)
    fprintf(stderr, "%s: %s\n", bitaxon_status_name(status), bitaxon_last_error());
  return status == BITAXON_STATUS_OK;
}

static void print(const bitaxon_buffer* text) {
  fwrite(bitaxon_buffer_data(text), 1, (size_t)bitaxon_buffer_size(text), stdout);
  fflush(stdout);
}

static int32_t likeliest(const bitaxon_buffer* logits) {
  const float* values = (const float*)bitaxon_buffer_data(logits);
  const int32_t n = (int32_t)(bitaxon_buffer_size(logits) / sizeof(float));
  int32_t best = 0, i;
  for (i = 1; i < n; ++i)
    if (values[i] > values[best]) best = i;
  return best;
}

int main(int argc, char** argv) {
  bitaxon_model* model = NULL;
  bitaxon_tokenizer* tokenizer = NULL;
  bitaxon_decoder* decoder = NULL;
  bitaxon_state* state = NULL;
  bitaxon_buffer *ids = NULL, *logits = NULL, *text = NULL;
  int status = 1, i;

  if (argc != 3) {
    fprintf(stderr, "usage: step_loop MODEL PROMPT\n");
    return 2;
  }
  if (ok(bitaxon_buffer_new(&ids)) && ok(bitaxon_buffer_new(&logits)) &&
      ok(bitaxon_buffer_new(&text)) &&
      ok(bitaxon_model_open(argv[1], strlen(argv[1]), NULL, &model)) &&
      ok(bitaxon_model_tokenizer(model, &tokenizer)) &&
      ok(bitaxon_decoder_new(tokenizer, 0, &decoder)) && ok(bitaxon_state_new(model, &state)) &&
      ok(bitaxon_tokenize(tokenizer, argv[2], strlen(argv[2]), 0, ids)) &&
      ok(bitaxon_step(state, (const int32_t*)bitaxon_buffer_data(ids),
                      bitaxon_buffer_size(ids) / sizeof(int32_t), BITAXON_LOGITS_LAST, logits))) {
    status = 0;
    for (i = 0; i < 20 && status == 0; ++i) {
      const int32_t next = likeliest(logits);
      if (!ok(bitaxon_decoder_push(decoder, next, text)) ||
          !ok(bitaxon_step(state, &next, 1, BITAXON_LOGITS_LAST, logits)))
        status = 1;
      else
        print(text);
    }
    if (status == 0 && ok(bitaxon_decoder_finish(decoder, text))) print(text);
    printf("\n");
  }
  bitaxon_buffer_free(text);
  bitaxon_buffer_free(logits);
  bitaxon_buffer_free(ids);
  bitaxon_state_free(state);
  bitaxon_decoder_free(decoder);
  bitaxon_tokenizer_free(tokenizer);
  bitaxon_model_free(model);
  return status;
}
