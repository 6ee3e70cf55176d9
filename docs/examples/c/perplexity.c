/* perplexity MODEL FILE: how well a model predicts a text. */
#include <bitaxon/c/bitaxon.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ok(bitaxon_status status) {
  if (status != BITAXON_STATUS_OK)
    fprintf(stderr, "%s: %s\n", bitaxon_status_name(status), bitaxon_last_error());
  return status == BITAXON_STATUS_OK;
}

/* Reads a whole file. Returns null if it cannot be read. */
static char* read_file(const char* name, size_t* size) {
  FILE* file = fopen(name, "rb");
  char* text = NULL;
  size_t n;
  *size = 0;
  if (file == NULL) return NULL;
  do {
    char* grown = (char*)realloc(text, *size + 65536);
    if (grown == NULL) exit(1);
    text = grown;
    n = fread(text + *size, 1, 65536, file);
    *size += n;
  } while (n > 0);
  if (ferror(file)) {
    free(text);
    text = NULL;
  }
  fclose(file);
  return text;
}

static int show_progress(void* user, uint64_t done, uint64_t total) {
  (void)user;
  fprintf(stderr, "\r%lu of %lu tokens", (unsigned long)done, (unsigned long)total);
  return 0;
}

int main(int argc, char** argv) {
  bitaxon_model* model = NULL;
  bitaxon_tokenizer* tokenizer = NULL;
  bitaxon_buffer* ids = NULL;
  bitaxon_evaluate_options options;
  bitaxon_evaluation found;
  size_t size;
  char* text;
  int status = 1;

  if (argc != 3) {
    fprintf(stderr, "usage: perplexity MODEL FILE\n");
    return 2;
  }
  text = read_file(argv[2], &size);
  if (text == NULL) {
    perror(argv[2]);
    return 1;
  }
  bitaxon_evaluate_options_init(&options, sizeof(options));
  bitaxon_evaluation_init(&found, sizeof(found));
  options.progress = show_progress;
  if (ok(bitaxon_model_open(argv[1], strlen(argv[1]), NULL, &model)) &&
      ok(bitaxon_model_tokenizer(model, &tokenizer)) && ok(bitaxon_buffer_new(&ids)) &&
      ok(bitaxon_tokenize(tokenizer, text, size, 0, ids)) &&
      ok(bitaxon_evaluate(model, (const int32_t*)bitaxon_buffer_data(ids),
                          bitaxon_buffer_size(ids) / sizeof(int32_t), &options, &found))) {
    fprintf(stderr, "\n");
    printf("perplexity %.4f +- %.4f, %ld tokens\n", found.perplexity, found.std_error,
           (long)found.tokens);
    status = 0;
  }
  free(text);
  bitaxon_buffer_free(ids);
  bitaxon_tokenizer_free(tokenizer);
  bitaxon_model_free(model);
  return status;
}
