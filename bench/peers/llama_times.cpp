// Measures llama.cpp through its C interface, as its own llama-bench does: the same default
// parameters, threads that are kept from step to step, random tokens, no sampling, and only the
// last row's logits of a prompt. The clock runs around llama_decode and llama_synchronize alone, so
// the figures contain no work of this program. The result is a JSON object on stdout.
//
// bench/peers/llama.py compiles this file with the headers of the measured version. The build of
// the project does not compile it.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "ggml-backend.h"
#include "ggml.h"
#include "llama.h"

namespace {

struct Wish {
  std::string libraries, model, states;
  int threads = 1, prompt = 512, decode = 32, warmup = 1, iterations = 1;
  std::vector<int> depths;  // tokens before the decoded ones
};

struct Test {
  const char* name;
  int tokens, position;
  std::vector<double> seconds;
};

class Llama {
 public:
  Llama(const Wish& wish, int most_tokens) {
    model_ = llama_model_load_from_file(wish.model.c_str(), llama_model_default_params());
    if (!model_) throw std::runtime_error(wish.model + ": llama.cpp cannot load the model");
    llama_context_params params = llama_context_default_params();
    params.n_ctx = static_cast<uint32_t>(most_tokens);
    params.n_threads = params.n_threads_batch = wish.threads;
    context_ = llama_init_from_model(model_, params);
    if (!context_) throw std::runtime_error(wish.model + ": llama.cpp cannot make a context");
    attach_threads(wish.threads);
    n_vocab_ = llama_vocab_n_tokens(llama_model_get_vocab(model_));
  }

  const llama_model* model() const { return model_; }

  void forget() { llama_memory_clear(llama_get_memory(context_), false); }

  // Feeds random tokens, as many at once as llama-bench does.
  void feed(int n_tokens) {
    const int most = static_cast<int>(llama_n_batch(context_));
    for (int done = 0; done < n_tokens; done += most) {
      std::vector<llama_token> tokens(static_cast<size_t>(std::min(most, n_tokens - done)));
      for (llama_token& token : tokens) token = random_token();
      decode(tokens);
    }
    llama_synchronize(context_);
  }

  void feed_one_by_one(int n_tokens) {
    for (int i = 0; i < n_tokens; ++i) {
      std::vector<llama_token> token = {random_token()};
      decode(token);
      llama_synchronize(context_);
    }
  }

  // Arithmetic with NaN may take another time, so it must not be measured.
  void check_logits() const {
    const float* logits = llama_get_logits_ith(context_, -1);
    if (!logits ||
        !std::all_of(logits, logits + n_vocab_, [](float x) { return std::isfinite(x); }))
      throw std::runtime_error("logits: expected finite values");
  }

  // Feeds `depth` tokens once. Later calls, also of later processes, read the state from a file.
  void go_to(int depth, const std::string& file) {
    forget();
    if (depth == 0) return;
    size_t n = 0;
    llama_token token = 0;
    if (std::filesystem::exists(file)) {
      if (llama_state_seq_load_file(context_, file.c_str(), 0, &token, 1, &n) > 0) return;
      throw std::runtime_error(file + ": llama.cpp cannot read the state; remove the file");
    }
    feed(depth);
    const std::string unfinished = file + ".unfinished";
    if (llama_state_seq_save_file(context_, unfinished.c_str(), 0, &token, 0) == 0 ||
        std::rename(unfinished.c_str(), file.c_str()) != 0)
      throw std::runtime_error(file + ": cannot be written");
  }

 private:
  // llama-bench keeps its threads between steps, so that no step pays for their start.
  void attach_threads(int n_threads) {
    ggml_backend_reg_t cpu =
        ggml_backend_dev_backend_reg(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
    using New = ggml_threadpool* (*)(ggml_threadpool_params*);
    const auto make =
        reinterpret_cast<New>(ggml_backend_reg_get_proc_address(cpu, "ggml_threadpool_new"));
    if (!make) throw std::runtime_error("llama.cpp has no ggml_threadpool_new");
    ggml_threadpool_params params = ggml_threadpool_params_default(n_threads);
    llama_attach_threadpool(context_, make(&params), nullptr);
  }

  llama_token random_token() {
    return std::uniform_int_distribution<llama_token>(0, n_vocab_ - 1)(random_);
  }

  void decode(std::vector<llama_token>& tokens) {
    const int status =
        llama_decode(context_, llama_batch_get_one(tokens.data(), static_cast<int>(tokens.size())));
    if (status != 0)
      throw std::runtime_error("llama_decode: expected status 0, got " + std::to_string(status));
  }

  llama_model* model_ = nullptr;
  llama_context* context_ = nullptr;
  llama_token n_vocab_ = 0;
  std::mt19937 random_{1};
};

double seconds_of(auto&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<Test> measure(Llama& llama, const Wish& wish) {
  std::vector<Test> tests;
  if (wish.prompt > 0) tests.push_back({"prefill", wish.prompt, 0, {}});
  if (wish.decode > 0)
    for (int depth : wish.depths) tests.push_back({"decode", wish.decode, depth, {}});
  for (int run = -wish.warmup; run < wish.iterations; ++run)
    for (Test& test : tests) {
      const bool prefill = test.name == std::string("prefill");
      llama.go_to(test.position, wish.states + "-" + std::to_string(test.position) + ".state");
      const double seconds = seconds_of(
          [&] { prefill ? llama.feed(test.tokens) : llama.feed_one_by_one(test.tokens); });
      llama.check_logits();
      if (run >= 0) test.seconds.push_back(seconds);
    }
  return tests;
}

void print(const Llama& llama, const Wish& wish, const std::vector<Test>& tests) {
  std::printf("{\"version\": \"%s\", \"system\": \"%s\", \"parameters\": %llu, \"bytes\": %llu, ",
              llama_version(), llama_print_system_info(),
              static_cast<unsigned long long>(llama_model_n_params(llama.model())),
              static_cast<unsigned long long>(llama_model_size(llama.model())));
  std::printf("\"threads\": %d, \"tests\": [", wish.threads);
  const char* comma = "";
  for (const Test& test : tests) {
    std::printf("%s{\"test\": \"%s\", \"tokens\": %d, \"position\": %d, \"seconds\": [", comma,
                test.name, test.tokens, test.position);
    for (size_t i = 0; i < test.seconds.size(); ++i)
      std::printf("%s%.9f", i ? ", " : "", test.seconds[i]);
    std::printf("]}");
    comma = ", ";
  }
  std::printf("]}\n");
}

// Every flag takes a value. Only llama.py calls this program.
Wish parse(int argc, char** argv) {
  Wish wish;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i], value = argv[i + 1];
    if (flag == "--libraries")
      wish.libraries = value;
    else if (flag == "--model")
      wish.model = value;
    else if (flag == "--states")
      wish.states = value;
    else if (flag == "--threads")
      wish.threads = std::stoi(value);
    else if (flag == "--prompt")
      wish.prompt = std::stoi(value);
    else if (flag == "--decode")
      wish.decode = std::stoi(value);
    else if (flag == "--depth")
      wish.depths.push_back(std::stoi(value));
    else if (flag == "--warmup")
      wish.warmup = std::stoi(value);
    else if (flag == "--iterations")
      wish.iterations = std::stoi(value);
    else
      throw std::runtime_error("unknown flag " + flag);
  }
  return wish;
}

}  // namespace

int main(int argc, char** argv) try {
  const Wish wish = parse(argc, argv);
  llama_log_set(
      [](ggml_log_level level, const char* text, void*) {
        if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
      },
      nullptr);
  ggml_backend_load_all_from_path(wish.libraries.c_str());
  llama_backend_init();
  int most_tokens = wish.prompt;
  for (int depth : wish.depths) most_tokens = std::max(most_tokens, depth + wish.decode);
  Llama llama(wish, most_tokens);
  print(llama, wish, measure(llama, wish));
  std::fflush(stdout);
  std::_Exit(0);
} catch (const std::exception& error) {
  std::fprintf(stderr, "llama_times: %s\n", error.what());
  return 1;
}
