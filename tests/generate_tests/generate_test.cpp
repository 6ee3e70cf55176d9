// Tests of generate(), from the prompt to the text. The text does not depend on run-ahead or on the
// number of threads. Generation can end in several ways. Afterwards the state must hold exactly the
// prompt and the answer.
#include "bitaxon/generate.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <set>

#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

constexpr int kRunAheads[] = {0, 1, 2, 8};

LoadOptions run_ahead_of(int run_ahead) {
  LoadOptions options;
  options.run_ahead = run_ahead;
  return options;
}

OpenModel open_bundled(int run_ahead, int n_threads = 1) {
  return open_model("cpu", n_threads, bundled_model_dir(), run_ahead_of(run_ahead));
}

Vocabulary bundled_vocabulary(std::string_view mapping = {}) {
  return Vocabulary(*Tokenizer::find(bundled_model_dir()), mapping, 1024);
}

/// The bundled vocabulary in which the token of id `id` and `<|im_end|>` are exchanged. The
/// sequence thus ends with a token that the model often generates.
Vocabulary bundled_vocabulary_ending_with(std::int32_t id) {
  const std::int32_t im_end = bundled_vocabulary().ends_of_sequence().front();
  std::string mapping = "{";
  for (std::int32_t i = 0; i < 1024; ++i)
    mapping += fmt::format("{}: {}, ", i, i == id ? im_end : i == im_end ? id : i);
  return bundled_vocabulary(mapping + "}");
}

GenerateOptions greedy(std::int64_t max_tokens) {
  GenerateOptions options;
  options.sampler.temperature = 0;
  options.max_tokens = max_tokens;
  return options;
}

/// A snapshot of a state after the model was fed exactly `ids` and then `more`.
StateSnapshot fed(Model& model, std::vector<std::int32_t> ids,
                  std::span<const std::int32_t> more = {}) {
  ids.insert(ids.end(), more.begin(), more.end());
  State state = model.new_state();
  model.feed(state, ids, StepOutput::none);
  return state.snapshot();
}

/// Generates on a new state and checks what must be true of every result.
GenerateResult run(OpenModel& open, const Vocabulary* vocabulary,
                   const std::vector<std::int32_t>& prompt, GenerateOptions options) {
  GenerateResult result;
  StateSnapshot after;
  std::string streamed;
  const auto on_text = options.on_text;
  if (vocabulary != nullptr)
    options.on_text = [&](std::string_view text) {
      EXPECT_FALSE(text.empty());
      streamed += text;
      if (on_text) on_text(text);
    };
  {
    State state = open.model.new_state();
    result = generate(open.model, state, vocabulary, prompt, options);
    after = state.snapshot();
  }
  const std::span<const std::int32_t> ids = result.token_ids;
  EXPECT_TRUE(after ==
              fed(open.model, prompt, ids.first(ids.size() - (result.last_is_unfed ? 1 : 0))));
  EXPECT_EQ(streamed, result.text);
  EXPECT_EQ(result.prompt_tokens, std::ssize(prompt));
  EXPECT_EQ(result.per_token_ms.size(), result.token_ids.size());
  EXPECT_GE(result.total_ms, result.time_to_first_token_ms);
  EXPECT_LE(std::ssize(result.token_ids), options.max_tokens);
  return result;
}

// ---- recorded greedy ids

class GoldenIds : public testing::TestWithParam<const char*> {};

TEST_P(GoldenIds, AreReproduced) {
  const auto folder = golden_dir() / GetParam();
  const auto file = folder / "model.safetensors";
  const auto path = std::filesystem::exists(file) ? file : bundled_model_dir();
  const Checkpoint io = Checkpoint::open(folder / "io.safetensors");
  const auto prompt = read_i32(io, "input_ids");
  const auto expected = read_i32(io, "greedy_ids");
  for (const char* device : {"reference", "cpu"})
    for (const int run_ahead : {0, 1, 8}) {
      if (device == std::string("reference") && run_ahead == 1) continue;
      OpenModel open = open_model(device, 2, path, run_ahead_of(run_ahead));
      const auto whole = run(open, nullptr, prompt, greedy(std::ssize(expected)));
      EXPECT_EQ(whole.token_ids, expected) << device << ", run-ahead " << run_ahead;
      EXPECT_EQ(whole.finish_reason, FinishReason::length);
      EXPECT_FALSE(whole.context_full);
      EXPECT_TRUE(whole.text.empty());
      // First feeds all but the last three ids of the prompt in pieces. Then generate() feeds these
      // three ids.
      State state = open.model.new_state();
      const std::size_t n_before = prompt.size() - 3;
      feed_pieces(open.model, state, std::span(prompt).first(n_before),
                  random_pieces(n_before, 200, 1));
      const auto rest = generate(open.model, state, nullptr, std::span(prompt).subspan(n_before),
                                 greedy(std::ssize(expected)));
      EXPECT_EQ(rest.token_ids, expected) << device << ", run-ahead " << run_ahead;
    }
}

INSTANTIATE_TEST_SUITE_P(LengthyRecorded, GoldenIds,
                         testing::Values("tiny_window", "tiny_long", "tiny_mixed", "tiny_nf4",
                                         "tiny_q4_linear_only", "tiny_trained"),
                         [](const auto& one) { return std::string(one.param); });

// ---- when the text is the same

TEST(LengthySameText, ForAnyRunAheadAndThreadCountStreamedOrNot) {
  const Vocabulary vocabulary = bundled_vocabulary();
  const auto prompt = vocabulary.encode("ROMEO:");
  for (const double temperature : {0.0, 0.8}) {
    GenerateOptions options = greedy(16);
    options.sampler.temperature = temperature;
    options.sampler.repetition_penalty = temperature == 0 ? 1 : 1.1;
    options.sampler.seed = 42;
    std::optional<GenerateResult> expected;
    for (const int n_threads : {1, 2, 3})
      for (const int run_ahead : kRunAheads) {
        OpenModel open = open_bundled(run_ahead, n_threads);
        const auto result = run(open, &vocabulary, prompt, options);
        if (!expected) expected = result;
        EXPECT_EQ(result.token_ids, expected->token_ids);
        EXPECT_EQ(result.text, expected->text);
        EXPECT_EQ(result.text, vocabulary.decode(result.token_ids));
        if (n_threads > 1) continue;
        State state = open.model.new_state();
        const auto silent = generate(open.model, state, &vocabulary, prompt, options);
        EXPECT_EQ(silent.text, expected->text);
      }
  }
}

TEST(LengthySameText, DifferentSeedsGiveDifferentTexts) {
  OpenModel open = open_bundled(2);
  const Vocabulary vocabulary = bundled_vocabulary();
  const auto prompt = vocabulary.encode("ROMEO:");
  std::set<std::string> texts;
  for (const std::uint64_t seed : {0ull, 1ull, 2ull, 1ull << 32, ~0ull}) {
    GenerateOptions options = greedy(20);
    options.sampler.temperature = 1;
    options.sampler.seed = seed;
    const std::string text = run(open, &vocabulary, prompt, options).text;
    EXPECT_EQ(run(open, &vocabulary, prompt, options).text, text);
    texts.insert(text);
  }
  EXPECT_EQ(texts.size(), 5u);
}

// The first turn of a conversation computes tokens ahead. The second turn must not see these
// tokens.
TEST(LengthySameText, ASecondTurnDoesNotDependOnTheRunAheadOfTheFirst) {
  const Vocabulary vocabulary = bundled_vocabulary();
  const auto prompt = vocabulary.encode("ROMEO:");
  const auto more = vocabulary.encode("\n\nJULIET:\n");
  GenerateOptions first = greedy(40);
  first.stop = {"not be"};
  GenerateOptions second = greedy(20);
  second.sampler = {.temperature = 0.7, .repetition_penalty = 1.2, .seed = 3};
  std::optional<GenerateResult> expected;
  for (const int run_ahead : kRunAheads) {
    OpenModel open = open_bundled(run_ahead);
    StateSnapshot after;
    GenerateResult a, b;
    {
      State state = open.model.new_state();
      a = generate(open.model, state, &vocabulary, prompt, first);
      b = generate(open.model, state, &vocabulary, more, second);
      after = state.snapshot();
    }
    if (!expected) expected = b;
    EXPECT_EQ(a.finish_reason, FinishReason::stop);
    EXPECT_EQ(b.token_ids, expected->token_ids);
    auto ids = prompt;
    for (const auto& part : {a.token_ids, more, b.token_ids})
      ids.insert(ids.end(), part.begin(), part.end());
    EXPECT_TRUE(after == fed(open.model, ids));
  }
}

// ---- when generation ends

TEST(Ends, AtMaxTokens) {
  const Vocabulary vocabulary = bundled_vocabulary();
  const auto prompt = vocabulary.encode("ROMEO:");
  for (const int run_ahead : kRunAheads) {
    OpenModel open = open_bundled(run_ahead);
    std::vector<std::int32_t> longest;
    for (const std::int64_t max_tokens : {12, 0, 1, 2, 3, 5}) {
      const auto result = run(open, &vocabulary, prompt, greedy(max_tokens));
      EXPECT_EQ(std::ssize(result.token_ids), max_tokens);
      EXPECT_EQ(result.finish_reason, FinishReason::length);
      EXPECT_FALSE(result.context_full);
      if (longest.empty()) longest = result.token_ids;
      EXPECT_TRUE(std::equal(result.token_ids.begin(), result.token_ids.end(), longest.begin()));
    }
  }
}

TEST(LengthyEnds, AtTheEndOfSequence) {
  const auto prompt = bundled_vocabulary().encode("ROMEO:");
  OpenModel plain = open_bundled(2);
  const auto whole = run(plain, nullptr, prompt, greedy(14)).token_ids;
  for (const int run_ahead : kRunAheads) {
    OpenModel open = open_bundled(run_ahead);
    for (const std::size_t at : {0u, 1u, 2u, 5u, 9u}) {
      const auto end = static_cast<std::size_t>(std::find(whole.begin(), whole.end(), whole[at]) -
                                                whole.begin());
      ASSERT_EQ(end, at) << "this token occurs earlier; choose another";
      const Vocabulary vocabulary = bundled_vocabulary_ending_with(whole[at]);
      ASSERT_EQ(vocabulary.ends_of_sequence(), std::vector{whole[at]});
      const auto result = run(open, &vocabulary, prompt, greedy(14));
      EXPECT_EQ(result.token_ids, std::vector(whole.begin(), whole.begin() + static_cast<int>(at)));
      EXPECT_EQ(result.text, vocabulary.decode(result.token_ids));
      EXPECT_EQ(result.finish_reason, FinishReason::stop);
      EXPECT_EQ(result.stop_token, whole[at]);
      // generate() stops at max_tokens tokens, without checking whether the next token ends the
      // sequence.
      const auto exact = run(open, &vocabulary, prompt, greedy(static_cast<std::int64_t>(at)));
      EXPECT_EQ(exact.finish_reason, FinishReason::length);
      EXPECT_EQ(exact.stop_token, std::nullopt);
      if (at != 1) continue;
      GenerateOptions ignore = greedy(14);
      ignore.ignore_eos = true;
      const auto on = run(open, &vocabulary, prompt, ignore);
      EXPECT_EQ(on.token_ids, whole);
      EXPECT_EQ(on.finish_reason, FinishReason::length);
      // Without a vocabulary, no token ends the sequence.
      EXPECT_EQ(run(open, nullptr, prompt, greedy(14)).token_ids, whole);
    }
  }
}

TEST(Ends, AtAnyOfSeveralEndOfSequenceTokens) {
  const auto prompt = bundled_vocabulary().encode("ROMEO:");
  OpenModel plain = open_bundled(2);
  const auto whole = run(plain, nullptr, prompt, greedy(14)).token_ids;
  const TemporaryFolder folder;
  std::filesystem::copy_file(bundled_model_dir() / "tokenizer.json", folder / "tokenizer.json");
  for (const auto& [config, at] : {std::pair{fmt::format("[{}, {}]", whole[5], whole[2]), 2},
                                   std::pair{fmt::format("[{}, {}]", whole[2], whole[5]), 2},
                                   std::pair{fmt::format("[{}, 1021]", whole[9]), 9},
                                   std::pair{fmt::format("[1021, {}]", whole[0]), 0}}) {
    std::ofstream(folder / "generation_config.json") << "{\"eos_token_id\": " << config << "}";
    const Vocabulary vocabulary(*Tokenizer::find(folder.path()), "", 1024);
    for (const int run_ahead : kRunAheads) {
      OpenModel open = open_bundled(run_ahead);
      const auto result = run(open, &vocabulary, prompt, greedy(14));
      EXPECT_EQ(result.token_ids, std::vector(whole.begin(), whole.begin() + at)) << config;
      EXPECT_EQ(result.finish_reason, FinishReason::stop);
      EXPECT_EQ(result.stop_token, whole[static_cast<std::size_t>(at)]);
      GenerateOptions ignore = greedy(14);
      ignore.ignore_eos = true;
      EXPECT_EQ(run(open, &vocabulary, prompt, ignore).token_ids, whole);
    }
  }
}

TEST(LengthyEnds, AtAStopString) {
  const Vocabulary vocabulary = bundled_vocabulary();
  const auto prompt = vocabulary.encode("ROMEO:");
  const std::vector<std::vector<std::string>> cases = {
      {"not"},                        // lies inside a token
      {"will not be"},                // begins in the middle of a token and spans several tokens
      {" I"},                         // is the first token
      {"I"},                          // lies inside the first token
      {"BRUTUS", "be"},               // of these, "be" occurs first
      {"not be sorry", "not be so"},  // both begin in the same way
      {"not be so", "be so", "so."},  // each contains the next one
      {"\n\nBRUTUS:\n"},              // follows text that resembles its beginning
      {"\n"},                         // lies inside a token of several characters
      {"never said", "POMPEY:\nI am a cauze"},  // never occurs, but similar text does
      {"cause.\n\nPOMPEY:\nI am a cause.\n\nPOMPEY:"},
  };
  for (const int run_ahead : kRunAheads) {
    OpenModel open = open_bundled(run_ahead);
    const auto whole = run(open, &vocabulary, prompt, greedy(56));
    for (const auto& stops : cases) {
      // The result must have the tokens up to and including the token that completes a stop string.
      // Its text must end before the first stop string.
      std::vector<std::int32_t> ids;
      std::string text;
      std::size_t cut = std::string::npos;
      for (const std::int32_t id : whole.token_ids) {
        ids.push_back(id);
        text = vocabulary.decode(ids);
        for (const std::string& stop : stops) cut = std::min(cut, text.find(stop));
        if (cut != std::string::npos) break;
      }
      GenerateOptions options = greedy(56);
      options.stop = stops;
      std::string seen;
      options.on_text = [&](std::string_view piece) {
        seen += piece;
        EXPECT_TRUE(text.substr(0, cut).starts_with(seen)) << stops[0];
      };
      const auto result = run(open, &vocabulary, prompt, options);
      EXPECT_EQ(result.text, text.substr(0, cut)) << stops[0];
      EXPECT_EQ(result.token_ids, ids) << stops[0];
      EXPECT_EQ(result.stop_token, std::nullopt);
      EXPECT_EQ(result.finish_reason,
                cut == std::string::npos ? FinishReason::length : FinishReason::stop);
    }
  }
}

TEST(Ends, TextIsHeldBackOnlyWhileItMayBeginAStopString) {
  const Vocabulary vocabulary = bundled_vocabulary();
  const auto prompt = vocabulary.encode("ROMEO:");
  OpenModel open = open_bundled(2);
  GenerateOptions options = greedy(3);  // the text of these three tokens is " I will not"
  options.stop = {"will nothing"};
  std::vector<std::string> pieces;
  options.on_text = [&](std::string_view piece) { pieces.emplace_back(piece); };
  run(open, &vocabulary, prompt, options);
  EXPECT_EQ(pieces, (std::vector<std::string>{" I", " ", "will not"}));
}

TEST(Ends, WhenInterrupted) {
  const Vocabulary vocabulary = bundled_vocabulary();
  const auto prompt = vocabulary.encode("ROMEO:");
  for (const int run_ahead : kRunAheads) {
    OpenModel open = open_bundled(run_ahead);
    const auto whole = run(open, &vocabulary, prompt, greedy(30)).token_ids;
    for (const int n_pieces : {1, 2, 7}) {
      std::atomic<bool> interrupted = false;
      GenerateOptions options = greedy(30);
      options.interrupted = &interrupted;
      int seen = 0;
      options.on_text = [&](std::string_view) { interrupted = ++seen >= n_pieces; };
      const auto result = run(open, &vocabulary, prompt, options);
      EXPECT_EQ(result.finish_reason, FinishReason::interrupted);
      // In this answer, every token gives a piece of text.
      EXPECT_EQ(result.token_ids, std::vector(whole.begin(), whole.begin() + n_pieces));
      EXPECT_EQ(result.text, vocabulary.decode(result.token_ids));
    }
    // If generate() is interrupted from the start, it still feeds this short prompt and returns one
    // token.
    const std::atomic<bool> always = true;
    GenerateOptions options = greedy(30);
    options.interrupted = &always;
    const auto result = run(open, &vocabulary, prompt, options);
    EXPECT_EQ(result.token_ids.size(), 1u);
    EXPECT_EQ(result.finish_reason, FinishReason::interrupted);
  }
}

TEST(Ends, WhenInterruptedInALongPrompt) {
  OpenModel open = open_random("cpu", 1, small_config(), run_ahead_of(2));
  const auto prompt = random_ids(1100, 61, 1);
  const std::atomic<bool> always = true;
  GenerateOptions options = greedy(10);
  options.interrupted = &always;
  StateSnapshot after;
  {
    State state = open.model.new_state();
    const auto result = generate(open.model, state, nullptr, prompt, options);
    EXPECT_EQ(result.finish_reason, FinishReason::interrupted);
    EXPECT_TRUE(result.token_ids.empty());
    EXPECT_EQ(state.position(), 512);
    after = state.snapshot();
  }
  EXPECT_TRUE(after == fed(open.model, {prompt.begin(), prompt.begin() + 512}));
}

TEST(Ends, WhenTheContextIsFull) {
  BitAxonConfig config = small_config();
  config.max_seq_len = 40;
  for (const int run_ahead : kRunAheads) {
    OpenModel open = open_random("cpu", 1, config, run_ahead_of(run_ahead));
    const auto ids = random_ids(41, 61, 2);
    const auto prompt = [&](std::size_t n) {
      return std::vector(ids.begin(), ids.begin() + static_cast<int>(n));
    };
    for (const std::size_t n : {1u, 30u, 38u, 39u, 40u}) {
      const auto result = run(open, nullptr, prompt(n), greedy(100));
      // The last token needs no place.
      EXPECT_EQ(result.token_ids.size(), 41 - n);
      EXPECT_EQ(result.finish_reason, FinishReason::length);
      EXPECT_TRUE(result.context_full);
      EXPECT_TRUE(result.last_is_unfed);
    }
    const auto limited = run(open, nullptr, prompt(30), greedy(9));
    EXPECT_FALSE(limited.context_full);
    const auto exact = run(open, nullptr, prompt(30), greedy(10));
    EXPECT_TRUE(exact.context_full);
    EXPECT_FALSE(exact.last_is_unfed);
    auto all = prompt(30);
    all.insert(all.end(), exact.token_ids.begin(), exact.token_ids.end());
    EXPECT_EQ(run(open, nullptr, all, greedy(100)).token_ids.front(),
              run(open, nullptr, prompt(30), greedy(100)).token_ids.back());
    State state = open.model.new_state();
    expect_error([&] { generate(open.model, state, nullptr, prompt(41), greedy(1)); },
                 ErrorKind::invalid_argument, {"41", "max_seq_len", "40"});
    EXPECT_EQ(state.position(), 0);
    generate(open.model, state, nullptr, prompt(30), greedy(100));
    expect_error([&] { generate(open.model, state, nullptr, prompt(1), greedy(1)); },
                 ErrorKind::invalid_argument, {"41", "max_seq_len", "40"});
    EXPECT_EQ(state.position(), 40);
  }
}

// ---- the text of an answer

TEST(Text, BytesThatAreNotUtf8AreReplaced) {
  BitAxonConfig config = small_config();
  config.vocab_size = 300;  // ids from 256 on decode to no bytes
  OpenModel open = open_random("cpu", 1, config, run_ahead_of(2));
  const Vocabulary vocabulary(Tokenizer::bytes(), {}, config.vocab_size);
  bool replaced = false;
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    GenerateOptions options = greedy(60);
    options.sampler = {.temperature = 3, .top_k = 0, .top_p = 1, .seed = seed};
    const auto result = run(open, &vocabulary, vocabulary.encode("hello"), options);
    EXPECT_EQ(result.text, vocabulary.decode(result.token_ids));
    EXPECT_EQ(result.token_ids.size(), 60u);
    replaced = replaced || result.text.find("\xEF\xBF\xBD") != std::string::npos;
  }
  EXPECT_TRUE(replaced);
}

// ---- repetition penalty

TEST(RepetitionPenalty, CountsEarlierTokensPromptAndAnswer) {
  OpenModel open = open_random("cpu", 1, small_config(), run_ahead_of(2));
  const auto ids = random_ids(30, 61, 6);
  constexpr float kPenalty = 1.5F;
  GenerateOptions options = greedy(15);
  options.sampler.repetition_penalty = static_cast<double>(kPenalty);
  for (const std::size_t n_before : {0u, 20u}) {
    std::vector<std::int32_t> generated;
    {
      State state = open.model.new_state();
      if (n_before > 0) feed_all(open.model, state, std::span(ids).first(n_before));
      generated =
          generate(open.model, state, nullptr, std::span(ids).subspan(n_before), options).token_ids;
    }
    // Computes the expected tokens step by step.
    State state = open.model.new_state();
    std::set<std::int32_t> seen(ids.begin(), ids.end());
    std::vector<float> logits = feed_all(open.model, state, ids);
    bool matters = false;
    for (const std::int32_t token : generated) {
      std::vector<float> row(logits.end() - 61, logits.end());
      const auto plain = std::max_element(row.begin(), row.end()) - row.begin();
      for (const std::int32_t id : seen) {
        float& logit = row[static_cast<std::size_t>(id)];
        logit = logit > 0 ? logit / kPenalty : logit * kPenalty;
      }
      const auto best = std::max_element(row.begin(), row.end()) - row.begin();
      EXPECT_EQ(token, best);
      matters = matters || best != plain;
      seen.insert(token);
      logits = feed_all(open.model, state, {&token, 1});
    }
    EXPECT_TRUE(matters);
  }
}

// ---- errors

TEST(GenerateErrors, RefuseInvalidOptionsAndChangeNothing) {
  OpenModel open = open_random("cpu", 1, small_config(), run_ahead_of(2));
  const Vocabulary vocabulary(Tokenizer::bytes(), {}, 256);
  State state = open.model.new_state();
  const std::vector<std::int32_t> prompt = {1, 2, 3};
  const auto refuse = [&](const GenerateOptions& options, const std::vector<std::int32_t>& ids,
                          std::initializer_list<std::string_view> fragments,
                          const Vocabulary* with = nullptr) {
    expect_error([&] { generate(open.model, state, with, ids, options); },
                 ErrorKind::invalid_argument, fragments);
    EXPECT_EQ(state.position(), 0);
  };
  refuse(greedy(5), {}, {"prompt", "at least one"});
  refuse(greedy(-1), prompt, {"max-tokens", "-1"});
  refuse(greedy(5), {1, 61}, {"0..60", "61"});
  refuse(greedy(5), {1, -1}, {"0..60", "-1"});
  GenerateOptions options = greedy(5);
  options.sampler.temperature = -1;
  refuse(options, prompt, {"temperature", "-1"});
  options = greedy(5);
  options.stop = {"x"};
  refuse(options, prompt, {"stop", "tokenizer"});
  options.stop = {"x", ""};
  refuse(options, prompt, {"stop"}, &vocabulary);
  // generate() finds an invalid id at the end of a long prompt before it feeds the first chunk.
  auto ids = random_ids(1000, 61, 1);
  ids.back() = 61;
  refuse(greedy(5), ids, {"0..60", "61"});
}

TEST(GenerateErrors, RefuseLogitsThatAreNotFinite) {
  const StoredModel good = random_stored(small_config(), 3);
  const TemporaryFolder good_folder;
  write_model(good_folder.path(), good);
  const auto prompt = random_ids(8, 61, 3);
  OpenModel open = open_model("cpu", 1, good_folder.path());
  const auto ids = run(open, nullptr, prompt, greedy(10)).token_ids;
  // Finds the first generated token, from the third on, that occurs nowhere before. The test will
  // make the embedding of this token invalid.
  std::size_t at = 0;
  const auto is_old = [&](std::size_t i) {
    return std::find(prompt.begin(), prompt.end(), ids[i]) != prompt.end() ||
           std::find(ids.begin(), ids.begin() + static_cast<int>(i), ids[i]) !=
               ids.begin() + static_cast<int>(i);
  };
  while (at < ids.size() && (at < 2 || is_old(at))) ++at;
  ASSERT_LT(at, ids.size());
  for (const float poison :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    StoredModel bad = good;
    bad.tensors.at("embed_tokens.weight").values[static_cast<std::size_t>(ids[at]) * 20] = poison;
    const TemporaryFolder folder;
    write_model(folder.path(), bad);
    for (const char* device : {"reference", "cpu"})
      for (const int run_ahead : kRunAheads) {
        OpenModel broken = open_model(device, 1, folder.path(), run_ahead_of(run_ahead));
        State state = broken.model.new_state();
        for (const double temperature : {0.0, 1e-9}) {
          GenerateOptions options = greedy(20);
          options.sampler.temperature = temperature;
          expect_error([&] { generate(broken.model, state, nullptr, prompt, options); },
                       ErrorKind::device, {"not finite"});
          // The invalid logits come from this token. The state holds this token and everything
          // before it.
          EXPECT_EQ(state.position(), std::ssize(prompt) + static_cast<std::int64_t>(at) + 1);
          state.reset();
          const auto fine =
              generate(broken.model, state, nullptr, prompt, greedy(static_cast<std::int64_t>(at)));
          EXPECT_EQ(fine.token_ids, std::vector(ids.begin(), ids.begin() + static_cast<int>(at)));
          state.reset();
        }
      }
  }
}

}  // namespace
}  // namespace bitaxon::test
