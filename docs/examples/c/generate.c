/* generate MODEL PROMPT: prints the beginning of an answer. The smallest program. */
#include <bitaxon/c/bitaxon.h>
#include <stdio.h>
#include <string.h>

static int print_piece(void* user, const char* text, uint64_t size) {
  (void)user;
  fwrite(text, 1, (size_t)size, stdout);
  fflush(stdout);
  return 0; /* go on */
}

/* Prints the reason of a failure. Returns whether the call was a success. */
static int ok(bitaxon_status status) {
  if (status != BITAXON_STATUS_OK)
    fprintf(stderr, "%s: %s\n", bitaxon_status_name(status), bitaxon_last_error());
  return status == BITAXON_STATUS_OK;
}

int main(int argc, char** argv) {
  bitaxon_model* model = NULL;
  bitaxon_tokenizer* tokenizer = NULL;
  bitaxon_state* state = NULL;
  bitaxon_buffer* ids = NULL;
  bitaxon_generate_options options;
  int status = 1;

  if (argc != 3) {
    fprintf(stderr, "usage: generate MODEL PROMPT\n");
    return 2;
  }
  bitaxon_generate_options_init(&options, sizeof(options));
  options.max_tokens = 20;
  options.on_text = print_piece;
  if (ok(bitaxon_model_open(argv[1], strlen(argv[1]), NULL, &model)) &&
      ok(bitaxon_model_tokenizer(model, &tokenizer)) && ok(bitaxon_buffer_new(&ids)) &&
      ok(bitaxon_tokenize(tokenizer, argv[2], strlen(argv[2]), 0, ids)) &&
      ok(bitaxon_state_new(model, &state)) &&
      ok(bitaxon_generate(state, (const int32_t*)bitaxon_buffer_data(ids),
                          bitaxon_buffer_size(ids) / sizeof(int32_t), &options, NULL, NULL,
                          NULL))) {
    printf("\n");
    status = 0;
  }
  bitaxon_buffer_free(ids);
  bitaxon_state_free(state);
  bitaxon_tokenizer_free(tokenizer);
  bitaxon_model_free(model);
  return status;
}
