/// The types of the C interface. Programs include bitaxon/c/bitaxon.h.
#ifndef BITAXON_C_TYPES_H
#define BITAXON_C_TYPES_H

#include <stdint.h>

#if defined(__GNUC__)
#define BITAXON_API __attribute__((visibility("default")))
#else
#define BITAXON_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// The version of this header. bitaxon_abi_version() is the version of the library that runs. A
/// program can run with a library of the same major version whose minor version is not smaller.
#define BITAXON_ABI_MAJOR 0
#define BITAXON_ABI_MINOR 1
#define BITAXON_ABI_VERSION ((uint32_t)BITAXON_ABI_MAJOR << 16 | (uint32_t)BITAXON_ABI_MINOR)

/// What a call reports. Later versions add values at the end and change none.
typedef int32_t bitaxon_status;
enum {
  BITAXON_STATUS_OK = 0,
  BITAXON_STATUS_INVALID_ARGUMENT = 1,  ///< a value that is not accepted
  BITAXON_STATUS_UNSUPPORTED = 2,       ///< valid, but this build, device or model cannot do it
  BITAXON_STATUS_FORMAT = 3,            ///< the contents of a file break its format
  BITAXON_STATUS_IO = 4,                ///< a file is missing, or cannot be read or written
  BITAXON_STATUS_DEVICE = 5,            ///< the device failed, or computed NaN
  BITAXON_STATUS_INTERNAL = 6,          ///< a fault of the library
  BITAXON_STATUS_OUT_OF_MEMORY = 7,     ///< memory of the host or of the device
  BITAXON_STATUS_BUSY = 8,              ///< another call or request uses the model or the state
  BITAXON_STATUS_INTERRUPTED = 9,       ///< a callback or a cancel token ended the call
  BITAXON_STATUS_TIMEOUT = 10,          ///< nothing happened within the given time
  BITAXON_STATUS_END = 11               ///< a request has no further text
};

typedef struct bitaxon_model bitaxon_model;          ///< weights on a device
typedef struct bitaxon_tokenizer bitaxon_tokenizer;  ///< text to token ids and back
typedef struct bitaxon_decoder bitaxon_decoder;      ///< token ids to text, one at a time
typedef struct bitaxon_state bitaxon_state;          ///< one sequence of a model
typedef struct bitaxon_request bitaxon_request;      ///< text that is generated in the background
typedef struct bitaxon_buffer bitaxon_buffer;        ///< receives text, ids, numbers or bytes
typedef struct bitaxon_cancel bitaxon_cancel;        ///< a flag that ends calls
typedef struct bitaxon_device_list bitaxon_device_list;  ///< the devices of one moment

/// Called while work is done. `total` is 0 if it is not known. A result that is not 0 ends the call,
/// which then returns BITAXON_STATUS_INTERRUPTED. Runs in the thread of the call.
typedef int32_t (*bitaxon_progress_fn)(void* user, uint64_t done, uint64_t total);
/// Called with each piece of generated text: UTF-8 of `size` bytes, and a 0 behind it. The piece is
/// valid during the call. A result that is not 0 ends the answer after this piece.
typedef int32_t (*bitaxon_text_fn)(void* user, const char* text, uint64_t size);
/// Called with each generated token, before its text. A result that is not 0 ends the answer after
/// this token.
typedef int32_t (*bitaxon_token_fn)(void* user, int32_t token);
/// Called with notes and warnings, one line each, with a 0 behind it.
typedef void (*bitaxon_log_fn)(void* user, int32_t level, const char* text, uint64_t size);
enum { BITAXON_LOG_NOTE = 1, BITAXON_LOG_WARNING = 2 };

/// How exactly a model computes. AUTO: fast, if the model has 16-bit or 4-bit tensors.
enum { BITAXON_PRECISION_AUTO = 0, BITAXON_PRECISION_EXACT = 1, BITAXON_PRECISION_FAST = 2 };

/// How a model is opened. A text of size 0 is not given.
typedef struct bitaxon_model_options {
  uint32_t struct_size;
  int32_t precision;   ///< BITAXON_PRECISION_...
  const char* device;  ///< "auto" (the default), "cpu", "reference", "vulkan", "vulkan:0", ...
  uint64_t device_size;
  const char* tokenizer;  ///< a file, a folder or a hub id; default: the model's own tokenizer
  uint64_t tokenizer_size;
  const char* quantize;  ///< "nf4" or "mlx": quantizes matrices while loading
  uint64_t quantize_size;
  const char* preset;  ///< if no model is named: random weights of the shape "small", ...
  uint64_t preset_size;
  uint64_t seed;      ///< of random weights
  int64_t context;    ///< tokens of the longest sequence; 0: what the model allows and what fits
  int32_t slots;      ///< sequences of full length, 1 to 4096; default: 1
  int32_t forks;      ///< further states, for bitaxon_state_fork(); default: 0
  int32_t run_ahead;  ///< steps that bitaxon_state_rewind() can take back, 0 to 8; default: 2
  int32_t threads;    ///< threads of a CPU device; 0: one for each core
  int32_t quantize_bits;         ///< mlx: 4 (the default) or 8
  int32_t quantize_group_size;   ///< 32, 64 (the default) or 128
  bitaxon_progress_fn progress;  ///< bytes of weights
  void* user;                    ///< handed to `progress`
  bitaxon_cancel* cancel;        ///< ends loading at the next report of progress; or null
} bitaxon_model_options;

/// How tokens are chosen (docs/sampling.md).
typedef struct bitaxon_sampler {
  uint32_t struct_size;
  uint32_t reserved;          ///< must be 0
  double temperature;         ///< 0: the likeliest token
  int64_t top_k;              ///< 0: off
  double top_p;               ///< 1: off
  double min_p;               ///< 0: off
  double repetition_penalty;  ///< 1: off
  uint64_t seed;              ///< equal seeds give equal text
} bitaxon_sampler;

typedef struct bitaxon_generate_options {
  uint32_t struct_size;
  int32_t ignore_eos;              ///< 1: no token ends the answer
  const bitaxon_sampler* sampler;  ///< null: the defaults
  int64_t max_tokens;              ///< default: 512
  const char* const* stop;         ///< texts that end the answer, n_stop of them
  const uint64_t* stop_sizes;      ///< their sizes in bytes
  uint64_t n_stop;
  bitaxon_text_fn on_text;    ///< or null
  bitaxon_token_fn on_token;  ///< or null
  void* user;                 ///< handed to both
  bitaxon_cancel* cancel;     ///< ends the answer after a token or a part of the prompt; or null
} bitaxon_generate_options;

/// Why an answer ended.
enum {
  BITAXON_FINISH_STOP = 0,        ///< a token or a text that ends answers
  BITAXON_FINISH_LENGTH = 1,      ///< max_tokens, or the context is full
  BITAXON_FINISH_INTERRUPTED = 2  ///< a callback or a cancel token
};

typedef struct bitaxon_generate_result {
  uint32_t struct_size;
  int32_t finish_reason;     ///< BITAXON_FINISH_...
  int32_t stop_token;        ///< the token that ended the answer, which is not part of it; else -1
  int32_t context_full;      ///< 1: the context ended the answer
  int32_t last_is_unfed;     ///< 1: the state ends before the last token, which had no place
  int32_t reserved;          ///< 0
  int64_t prompt_tokens;     ///< tokens that were fed before the answer
  int64_t cached_tokens;     ///< tokens that the state held before
  int64_t generated_tokens;  ///< tokens of the answer
  double prefill_ms;         ///< time of the prompt
  double time_to_first_token_ms;
  double total_ms;
  double decode_tokens_per_sec;  ///< rate of the tokens after the first
} bitaxon_generate_result;

typedef struct bitaxon_chat_options {
  uint32_t struct_size;
  int32_t add_generation_prompt;  ///< 1, the default: the text ends with the beginning of an answer
  const char* tools;              ///< a JSON list
  uint64_t tools_size;
  const char* documents;  ///< a JSON list
  uint64_t documents_size;
  const char* variables;  ///< a JSON object, such as {"enable_thinking": false}
  uint64_t variables_size;
  const char* template_name;  ///< which template, if the model has several
  uint64_t template_name_size;
} bitaxon_chat_options;

typedef struct bitaxon_device_info {
  uint32_t struct_size;
  int32_t threads;         ///< 0 on a device without threads
  int32_t usable;          ///< 1: a model can be opened on it
  int32_t chosen_by_auto;  ///< 1: "auto" takes this device
  uint64_t memory_total_bytes;
  uint64_t memory_available_bytes;
  const char* selector;  ///< what bitaxon_model_options.device takes; all texts end with a 0
  uint64_t selector_size;
  const char* name;
  uint64_t name_size;
  const char* type;  ///< "cpu", "discrete", "integrated", "virtual", "other", "driver"
  uint64_t type_size;
  const char* reason;  ///< why auto takes or leaves the device, or why it cannot be used
  uint64_t reason_size;
} bitaxon_device_info;

typedef struct bitaxon_quantize_options {
  uint32_t struct_size;
  int32_t bits;        ///< 4 (the default) or 8
  const char* format;  ///< "mlx" (the default) or "nf4"
  uint64_t format_size;
  int64_t group_size;            ///< 32, 64 (the default) or 128
  int32_t nested;                ///< 1: nf4 with scales of 8 bits
  int32_t reserved;              ///< must be 0
  bitaxon_progress_fn progress;  ///< bytes read
  void* user;
  bitaxon_cancel* cancel;  ///< or null
} bitaxon_quantize_options;

/// The type of matrices that are written as floats.
enum {
  BITAXON_DTYPE_KEEP = 0,
  BITAXON_DTYPE_F32 = 1,
  BITAXON_DTYPE_F16 = 2,
  BITAXON_DTYPE_BF16 = 3
};

typedef struct bitaxon_merge_options {
  uint32_t struct_size;
  int32_t re_quantize;           ///< 1, the default: quantized matrices stay quantized
  double scale;                  ///< factor of the adapter; 0: what the adapter's own files say
  int64_t rank;                  ///< refuses an adapter of another rank; 0: any rank
  int64_t group_size;            ///< of quantized matrices; 0: as they are
  int32_t bits;                  ///< of quantized matrices; 0: as they are
  int32_t dtype;                 ///< BITAXON_DTYPE_...
  bitaxon_progress_fn progress;  ///< bytes read
  void* user;
  bitaxon_cancel* cancel;  ///< or null
} bitaxon_merge_options;

typedef struct bitaxon_evaluate_options {
  uint32_t struct_size;
  int32_t carry;                 ///< 1: each window continues the window before it
  int64_t seq_length;            ///< tokens of a window; default: 512
  int64_t batch_size;            ///< windows computed together, 1 to 32; default: 1
  bitaxon_progress_fn progress;  ///< tokens
  void* user;
  bitaxon_cancel* cancel;  ///< or null
} bitaxon_evaluate_options;

typedef struct bitaxon_evaluation {
  uint32_t struct_size;
  uint32_t reserved;  ///< 0
  int64_t tokens;     ///< predicted tokens
  int64_t windows;
  double perplexity;
  double std_error;      ///< of the perplexity; NaN for a single token
  double nll_per_token;  ///< nats
  double seconds;
} bitaxon_evaluation;

/// What a step computes logits for.
enum { BITAXON_LOGITS_NONE = 0, BITAXON_LOGITS_LAST = 1, BITAXON_LOGITS_ALL = 2 };

/// Where a request is.
enum { BITAXON_REQUEST_QUEUED = 0, BITAXON_REQUEST_RUNNING = 1, BITAXON_REQUEST_DONE = 2 };

/// Flags of bitaxon_tokenize().
enum {
  BITAXON_TOKENIZE_ADD_SPECIAL = 1,     ///< adds the tokens that the tokenizer puts around a text
  BITAXON_TOKENIZE_SPECIAL_AS_TEXT = 2  ///< special tokens in the text are plain text
};
/// Flags of bitaxon_detokenize() and bitaxon_decoder_new().
enum { BITAXON_DETOKENIZE_SKIP_SPECIAL = 1 };

#ifdef __cplusplus
}
#endif

#endif
