/// bit-axon for C, and for every language that calls C. docs/c-api.md is the manual.
///
/// - Every call that can fail returns a bitaxon_status. A failed call has changed nothing: neither
///   its outputs nor the model, the state or a file. bitaxon_last_error() says what was wrong.
/// - Texts are UTF-8 with a size in bytes, and need no 0 at the end. Paths are bytes. Outputs of any
///   size go to a bitaxon_buffer, which the caller makes, reuses and frees.
/// - A struct begins with its size. Its _init function fills in the size and the defaults. Null
///   instead of options means the defaults.
/// - Each _free function accepts null. Handles may be freed in any order: what they need stays alive.
/// - Threads: buffers, decoders, states and models serve one thread at a time. A call for a model or
///   a state that is in use returns BITAXON_STATUS_BUSY. Tokenizers, cancel tokens, requests and
///   device lists serve several threads at once. No call may use a handle that another thread frees.
/// - Callbacks run in the thread of the call, and for requests in a thread of the model. A callback
///   may call cancel functions, and functions of buffers and tokenizers, but must not free a request.
#ifndef BITAXON_C_BITAXON_H
#define BITAXON_C_BITAXON_H

#include <bitaxon/c/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// -- The library

/// major << 16 | minor, of the library that runs.
BITAXON_API uint32_t bitaxon_abi_version(void);
/// The version of the library: "0.1.0".
BITAXON_API const char* bitaxon_version_string(void);
/// JSON: version, commit, compiler, build type, ABI version, backends.
BITAXON_API bitaxon_status bitaxon_build_info(bitaxon_buffer* json);
/// The name of a status: "OK", "INVALID_ARGUMENT", ... "UNKNOWN" for any other number.
BITAXON_API const char* bitaxon_status_name(bitaxon_status status);
/// One line that says why the latest call of this thread has failed, or "" if it has not. Valid until
/// the thread's next call. Never null. This function and the functions that return no status change
/// nothing about it.
BITAXON_API const char* bitaxon_last_error(void);
/// Sets the function that receives notes and warnings of all calls, in the thread of each call. Null,
/// the default: the library says nothing.
BITAXON_API bitaxon_status bitaxon_set_log(bitaxon_log_fn log, void* user);

// -- Buffers

/// Makes an empty buffer. A call that fills a buffer replaces its contents, and reuses its memory.
BITAXON_API bitaxon_status bitaxon_buffer_new(bitaxon_buffer** buffer);
/// The contents, for any type of number, and a 0 byte behind them. Valid until the buffer is filled
/// again or freed. Never null; "" for null.
BITAXON_API const void* bitaxon_buffer_data(const bitaxon_buffer* buffer);
/// The size of the contents in bytes, without the 0 byte. 0 for null.
BITAXON_API uint64_t bitaxon_buffer_size(const bitaxon_buffer* buffer);
BITAXON_API void bitaxon_buffer_free(bitaxon_buffer* buffer);

// -- Cancel tokens

BITAXON_API bitaxon_status bitaxon_cancel_new(bitaxon_cancel** cancel);
/// Ends the calls and requests that were given the token, and those that are given it before
/// bitaxon_cancel_clear(). Any thread and any signal handler may call it: it only stores an atomic
/// flag. The same holds for the next two functions.
BITAXON_API void bitaxon_cancel_set(bitaxon_cancel* cancel);
BITAXON_API void bitaxon_cancel_clear(bitaxon_cancel* cancel);
/// 1 if the token is set, else 0.
BITAXON_API int32_t bitaxon_cancel_is_set(const bitaxon_cancel* cancel);
BITAXON_API void bitaxon_cancel_free(bitaxon_cancel* cancel);

// -- Devices

/// JSON: the list that `bit-axon devices --json` prints.
BITAXON_API bitaxon_status bitaxon_devices(bitaxon_buffer* json);
/// Lists the devices of this machine.
BITAXON_API bitaxon_status bitaxon_device_list_new(bitaxon_device_list** list);
BITAXON_API uint64_t bitaxon_device_list_count(const bitaxon_device_list* list);
BITAXON_API bitaxon_status bitaxon_device_info_init(bitaxon_device_info* info, uint64_t size);
/// Describes device `index`. The texts are valid until the list is freed.
BITAXON_API bitaxon_status bitaxon_device_list_at(const bitaxon_device_list* list, uint64_t index,
                                                  bitaxon_device_info* info);
BITAXON_API void bitaxon_device_list_free(bitaxon_device_list* list);

// -- Models

BITAXON_API bitaxon_status bitaxon_model_options_init(bitaxon_model_options* options,
                                                      uint64_t size);
/// Opens the model that `name` names: a folder, a safetensors file, or a hub id whose files are on
/// this machine. Size 0: random weights if there is a preset, else the default model.
BITAXON_API bitaxon_status bitaxon_model_open(const char* name, uint64_t name_size,
                                              const bitaxon_model_options* options,
                                              bitaxon_model** model);
BITAXON_API void bitaxon_model_free(bitaxon_model* model);
/// JSON: name, device, precision, context, slots, sizes in bytes, and the model's config.
BITAXON_API bitaxon_status bitaxon_model_info(bitaxon_model* model, bitaxon_buffer* json);
/// The number of logits of a token. 0 for null.
BITAXON_API int64_t bitaxon_model_vocab_size(const bitaxon_model* model);
/// The most tokens of a sequence. 0 for null.
BITAXON_API int64_t bitaxon_model_context(const bitaxon_model* model);
/// The tokenizer of the model, as a handle of its own. UNSUPPORTED if the model has none.
BITAXON_API bitaxon_status bitaxon_model_tokenizer(bitaxon_model* model,
                                                   bitaxon_tokenizer** tokenizer);
/// JSON: whether a model fits on the device that the options name, or on each device if they name
/// none or "auto", and the bytes that it needs. Loads no weights. `name` is as in
/// bitaxon_model_open(). Uses context, slots, forks, run_ahead, precision and quantize.
BITAXON_API bitaxon_status bitaxon_memory_estimate(const char* name, uint64_t name_size,
                                                   const bitaxon_model_options* options,
                                                   bitaxon_buffer* json);

// -- Tokenizers

/// Opens the tokenizer of a file, a folder or a hub id. Its ids are mapped to no model.
BITAXON_API bitaxon_status bitaxon_tokenizer_open(const char* name, uint64_t name_size,
                                                  bitaxon_tokenizer** tokenizer);
BITAXON_API void bitaxon_tokenizer_free(bitaxon_tokenizer* tokenizer);
/// JSON: kind, vocab_size, the ids that end a text, and whether there is a chat template.
BITAXON_API bitaxon_status bitaxon_tokenizer_info(bitaxon_tokenizer* tokenizer,
                                                  bitaxon_buffer* json);
/// The ids of a text, as int32_t.
BITAXON_API bitaxon_status bitaxon_tokenize(bitaxon_tokenizer* tokenizer, const char* text,
                                            uint64_t text_size, uint32_t flags,
                                            bitaxon_buffer* ids);
BITAXON_API bitaxon_status bitaxon_detokenize(bitaxon_tokenizer* tokenizer, const int32_t* ids,
                                              uint64_t n_ids, uint32_t flags, bitaxon_buffer* text);
/// The id of the token whose text is exactly this. -1 if there is none.
BITAXON_API bitaxon_status bitaxon_token_id(bitaxon_tokenizer* tokenizer, const char* token,
                                            uint64_t token_size, int32_t* id);
BITAXON_API bitaxon_status bitaxon_chat_options_init(bitaxon_chat_options* options, uint64_t size);
/// A conversation as text, by the chat template of the model's folder, or else by ChatML.
/// `messages` is a JSON list such as [{"role": "user", "content": "Hello"}].
BITAXON_API bitaxon_status bitaxon_chat_text(bitaxon_tokenizer* tokenizer, const char* messages,
                                             uint64_t messages_size,
                                             const bitaxon_chat_options* options,
                                             bitaxon_buffer* text);
/// The ids of that text. Special tokens within the contents of messages stay plain text, so that
/// users cannot write them.
BITAXON_API bitaxon_status bitaxon_chat_tokens(bitaxon_tokenizer* tokenizer, const char* messages,
                                               uint64_t messages_size,
                                               const bitaxon_chat_options* options,
                                               bitaxon_buffer* ids);

/// Makes a decoder, whose pieces joined are the text of bitaxon_detokenize() for all ids.
BITAXON_API bitaxon_status bitaxon_decoder_new(bitaxon_tokenizer* tokenizer, uint32_t flags,
                                               bitaxon_decoder** decoder);
/// Adds an id. `text` receives what the id completes, whole characters only, often nothing.
BITAXON_API bitaxon_status bitaxon_decoder_push(bitaxon_decoder* decoder, int32_t id,
                                                bitaxon_buffer* text);
/// `text` receives the rest. The decoder then begins a new text.
BITAXON_API bitaxon_status bitaxon_decoder_finish(bitaxon_decoder* decoder, bitaxon_buffer* text);
BITAXON_API void bitaxon_decoder_free(bitaxon_decoder* decoder);

// -- States

/// Makes an empty sequence. INVALID_ARGUMENT if all slots and forks of the model are in use.
BITAXON_API bitaxon_status bitaxon_state_new(bitaxon_model* model, bitaxon_state** state);
/// Frees the sequence, or as soon as a call that uses it has ended.
BITAXON_API void bitaxon_state_free(bitaxon_state* state);
/// A second sequence after the same tokens. Both then go on independently.
BITAXON_API bitaxon_status bitaxon_state_fork(bitaxon_state* state, bitaxon_state** fork);
/// The number of tokens fed.
BITAXON_API bitaxon_status bitaxon_state_position(bitaxon_state* state, int64_t* position);
/// Empties the sequence.
BITAXON_API bitaxon_status bitaxon_state_reset(bitaxon_state* state);
/// Takes back the latest steps. A step is one bitaxon_step() or bitaxon_step_token() of at most 512
/// ids, or one token that was generated.
BITAXON_API bitaxon_status bitaxon_state_rewind(bitaxon_state* state, int32_t n_steps);
/// The number of steps that can be taken back now, at most run_ahead. Fewer after a failed step. None
/// from before a fork, an answer, more than 512 ids at once, or a state that was restored or loaded.
BITAXON_API bitaxon_status bitaxon_state_rewindable(bitaxon_state* state, int32_t* n_steps);
/// The sequence as bytes: the same bytes as in the file of bitaxon_state_save().
BITAXON_API bitaxon_status bitaxon_state_snapshot(bitaxon_state* state, bitaxon_buffer* bytes);
/// Replaces the sequence by one of the same model. FORMAT for bytes that are damaged or belong to
/// another model or precision.
BITAXON_API bitaxon_status bitaxon_state_restore(bitaxon_state* state, const void* bytes,
                                                 uint64_t n_bytes);
BITAXON_API bitaxon_status bitaxon_state_save(bitaxon_state* state, const char* path,
                                              uint64_t path_size);
BITAXON_API bitaxon_status bitaxon_state_load(bitaxon_state* state, const char* path,
                                              uint64_t path_size);

// -- Steps

/// Feeds ids, at least one. `logits` receives nothing, the logits of the last id, or those of all ids
/// (then at most 512 ids): float, one row of bitaxon_model_vocab_size() for each id. It may be null
/// for BITAXON_LOGITS_NONE.
BITAXON_API bitaxon_status bitaxon_step(bitaxon_state* state, const int32_t* ids, uint64_t n_ids,
                                        int32_t which, bitaxon_buffer* logits);
BITAXON_API bitaxon_status bitaxon_sampler_init(bitaxon_sampler* sampler, uint64_t size);
/// Feeds ids and draws the next token on the device. Without ids, feeds the token that the latest
/// step has drawn. Null for `sampler`: the defaults.
BITAXON_API bitaxon_status bitaxon_step_token(bitaxon_state* state, const int32_t* ids,
                                              uint64_t n_ids, const bitaxon_sampler* sampler,
                                              int32_t* token);

// -- Generation

BITAXON_API bitaxon_status bitaxon_generate_options_init(bitaxon_generate_options* options,
                                                         uint64_t size);
BITAXON_API bitaxon_status bitaxon_generate_result_init(bitaxon_generate_result* result,
                                                        uint64_t size);
/// Feeds a prompt, at least one id, and generates an answer. `text`, `ids` (int32_t) and `result`
/// receive the answer; each may be null. The state then includes prompt and answer. An answer that
/// was interrupted is a success; what was generated so far is the answer.
BITAXON_API bitaxon_status bitaxon_generate(bitaxon_state* state, const int32_t* prompt,
                                            uint64_t n_prompt,
                                            const bitaxon_generate_options* options,
                                            bitaxon_buffer* text, bitaxon_buffer* ids,
                                            bitaxon_generate_result* result);

/// Like bitaxon_generate(), but returns at once. Requests of one model run one after the other, in a
/// thread of the model. Prompt and options are copied. Until the request is done, other calls for
/// its state return BUSY, but further requests may be submitted. The callbacks run in that thread.
BITAXON_API bitaxon_status bitaxon_request_submit(bitaxon_state* state, const int32_t* prompt,
                                                  uint64_t n_prompt,
                                                  const bitaxon_generate_options* options,
                                                  bitaxon_request** request);
/// Where the request is: BITAXON_REQUEST_... Does not wait.
BITAXON_API bitaxon_status bitaxon_request_poll(bitaxon_request* request, int32_t* where);
/// Waits until the request is done, or returns TIMEOUT. Less than 0: without a limit.
BITAXON_API bitaxon_status bitaxon_request_wait(bitaxon_request* request, int64_t timeout_ms);
/// Waits for text that no call has returned yet. END if there is no more, TIMEOUT if there is none
/// yet. If the request has failed, its status follows the last text.
BITAXON_API bitaxon_status bitaxon_request_next(bitaxon_request* request, int64_t timeout_ms,
                                                bitaxon_buffer* text);
/// Ends the request after the token that is being computed. Any thread and any signal handler may
/// call it.
BITAXON_API void bitaxon_request_cancel(bitaxon_request* request);
/// The answer, as bitaxon_generate() returns it. BUSY if the request is not done. Returns the status
/// of a request that has failed; its state is then as before the request.
BITAXON_API bitaxon_status bitaxon_request_result(bitaxon_request* request, bitaxon_buffer* text,
                                                  bitaxon_buffer* ids,
                                                  bitaxon_generate_result* result);
/// A request that is not done is cancelled, and waited for.
BITAXON_API void bitaxon_request_free(bitaxon_request* request);

// -- New models, and measures

BITAXON_API bitaxon_status bitaxon_quantize_options_init(bitaxon_quantize_options* options,
                                                         uint64_t size);
/// Writes a quantized model into the new folder `output`. `report`, which may be null, receives JSON:
/// sizes and errors by part. An interrupted call writes nothing.
BITAXON_API bitaxon_status bitaxon_quantize(const char* name, uint64_t name_size,
                                            const char* output, uint64_t output_size,
                                            const bitaxon_quantize_options* options,
                                            bitaxon_buffer* report);
BITAXON_API bitaxon_status bitaxon_merge_options_init(bitaxon_merge_options* options,
                                                      uint64_t size);
/// Writes a model with a LoRA or DoRA adapter folded in, in the same way.
BITAXON_API bitaxon_status bitaxon_merge(const char* name, uint64_t name_size, const char* adapter,
                                         uint64_t adapter_size, const char* output,
                                         uint64_t output_size, const bitaxon_merge_options* options,
                                         bitaxon_buffer* report);
BITAXON_API bitaxon_status bitaxon_evaluate_options_init(bitaxon_evaluate_options* options,
                                                         uint64_t size);
BITAXON_API bitaxon_status bitaxon_evaluation_init(bitaxon_evaluation* evaluation, uint64_t size);
/// The perplexity of a text, at least two ids. Uses batch_size slots of the model for a while.
BITAXON_API bitaxon_status bitaxon_evaluate(bitaxon_model* model, const int32_t* ids,
                                            uint64_t n_ids, const bitaxon_evaluate_options* options,
                                            bitaxon_evaluation* evaluation);

#ifdef __cplusplus
}
#endif

#endif
