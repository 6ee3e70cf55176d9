/* chat MODEL [MAX_TOKENS]: a chat on the terminal, one question per line. Ctrl-C ends an answer.
 * Ctrl-C at the prompt, or the end of the input, ends the chat. */
#include <bitaxon/c/bitaxon.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bitaxon_cancel* cancel;
static volatile sig_atomic_t answering;

static void on_interrupt(int number) {
  if (!answering) _Exit(128 + number);
  bitaxon_cancel_set(cancel); /* only stores an atomic flag */
}

static int print_piece(void* user, const char* text, uint64_t size) {
  (void)user;
  fwrite(text, 1, (size_t)size, stdout);
  fflush(stdout);
  return 0;
}

static int ok(bitaxon_status status) {
  if (status != BITAXON_STATUS_OK)
    fprintf(stderr, "%s: %s\n", bitaxon_status_name(status), bitaxon_last_error());
  return status == BITAXON_STATUS_OK;
}

/* Text that grows. */
struct text {
  char* data;
  size_t size;
};

static void append(struct text* to, const char* data, size_t size) {
  char* grown = (char*)realloc(to->data, to->size + size + 1);
  if (grown == NULL) exit(1);
  memcpy(grown + to->size, data, size);
  to->data = grown;
  to->size += size;
  to->data[to->size] = '\0';
}

/* Appends a message to the inside of a JSON list of messages. */
static void append_message(struct text* to, const char* role, const char* content, size_t size) {
  char escape[8];
  size_t i;
  if (to->size > 0) append(to, ",", 1);
  append(to, "{\"role\":\"", 9);
  append(to, role, strlen(role));
  append(to, "\",\"content\":\"", 13);
  for (i = 0; i < size; ++i) {
    const unsigned char c = (unsigned char)content[i];
    if (c == '"' || c == '\\' || c < 0x20) {
      snprintf(escape, sizeof(escape), "\\u%04x", c);
      append(to, escape, 6);
    } else {
      append(to, content + i, 1);
    }
  }
  append(to, "\"}", 2);
}

/* What the state has been fed. */
struct fed {
  int32_t* ids;
  size_t n;
};

static void add_ids(struct fed* fed, const void* ids, size_t n) {
  int32_t* grown = (int32_t*)realloc(fed->ids, (fed->n + n + 1) * sizeof(int32_t));
  if (grown == NULL) exit(1);
  memcpy(grown + fed->n, ids, n * sizeof(int32_t));
  fed->ids = grown;
  fed->n += n;
}

struct chat {
  bitaxon_tokenizer* tokenizer;
  bitaxon_state* state;
  bitaxon_buffer *prompt, *text, *ids;
  struct text messages;
  struct fed fed;
  int64_t max_tokens;
};

/* Answers the messages. The state continues where the conversation goes on as it was fed, and starts
 * again where the template has rewritten it. */
static int answer(struct chat* chat) {
  struct text list = {NULL, 0};
  bitaxon_generate_options options;
  const int32_t* prompt;
  int64_t position;
  size_t n, same = 0;
  int done;
  append(&list, "[", 1);
  append(&list, chat->messages.data, chat->messages.size);
  append(&list, "]", 1);
  done = ok(bitaxon_chat_tokens(chat->tokenizer, list.data, list.size, NULL, chat->prompt));
  free(list.data);
  if (!done) return 0;
  prompt = (const int32_t*)bitaxon_buffer_data(chat->prompt);
  n = (size_t)(bitaxon_buffer_size(chat->prompt) / sizeof(int32_t));
  while (same < n && same < chat->fed.n && prompt[same] == chat->fed.ids[same]) ++same;
  if (same < chat->fed.n || same == n) {
    if (!ok(bitaxon_state_reset(chat->state))) return 0;
    same = chat->fed.n = 0;
  }
  bitaxon_generate_options_init(&options, sizeof(options));
  options.max_tokens = chat->max_tokens;
  options.on_text = print_piece;
  options.cancel = cancel;
  bitaxon_cancel_clear(cancel);
  answering = 1;
  done = ok(bitaxon_generate(chat->state, prompt + same, n - same, &options, chat->text, chat->ids,
                             NULL));
  answering = 0;
  printf("\n");
  if (!done) return 0;
  add_ids(&chat->fed, prompt + same, n - same);
  add_ids(&chat->fed, bitaxon_buffer_data(chat->ids),
          (size_t)(bitaxon_buffer_size(chat->ids) / sizeof(int32_t)));
  /* An answer that was ended while the prompt was fed leaves a part of it. */
  if (!ok(bitaxon_state_position(chat->state, &position))) return 0;
  if (position < (int64_t)chat->fed.n) chat->fed.n = (size_t)position;
  append_message(&chat->messages, "assistant", (const char*)bitaxon_buffer_data(chat->text),
                 (size_t)bitaxon_buffer_size(chat->text));
  return 1;
}

int main(int argc, char** argv) {
  bitaxon_model* model = NULL;
  struct chat chat;
  char line[4096];
  int status = 1;
  memset(&chat, 0, sizeof(chat));
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: chat MODEL [MAX_TOKENS]\n");
    return 2;
  }
  chat.max_tokens = argc == 3 ? atol(argv[2]) : 100;
  if (ok(bitaxon_cancel_new(&cancel)) && ok(bitaxon_buffer_new(&chat.prompt)) &&
      ok(bitaxon_buffer_new(&chat.text)) && ok(bitaxon_buffer_new(&chat.ids)) &&
      ok(bitaxon_model_open(argv[1], strlen(argv[1]), NULL, &model)) &&
      ok(bitaxon_model_tokenizer(model, &chat.tokenizer)) &&
      ok(bitaxon_state_new(model, &chat.state))) {
    signal(SIGINT, on_interrupt);
    status = 0;
    while (status == 0 && fputs("> ", stdout) >= 0 && fflush(stdout) == 0 &&
           fgets(line, sizeof(line), stdin) != NULL) {
      line[strcspn(line, "\n")] = '\0';
      append_message(&chat.messages, "user", line, strlen(line));
      if (!answer(&chat)) status = 1;
    }
    printf("\n");
  }
  free(chat.messages.data);
  free(chat.fed.ids);
  bitaxon_state_free(chat.state);
  bitaxon_tokenizer_free(chat.tokenizer);
  bitaxon_model_free(model);
  bitaxon_buffer_free(chat.ids);
  bitaxon_buffer_free(chat.text);
  bitaxon_buffer_free(chat.prompt);
  bitaxon_cancel_free(cancel);
  return status;
}
