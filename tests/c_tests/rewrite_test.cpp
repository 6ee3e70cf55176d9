// Tests of new models and measures through the C interface.
#include "bitaxon/rewrite.h"

#include <cmath>
#include <filesystem>
#include <fstream>

#include "bitaxon/evaluation.h"
#include "c_tests/handles.h"
#include "formats/json.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

const std::string& bundled() {
  static const std::string path = bundled_model_dir().string();
  return path;
}

TEST(CRewrite, QuantizesAModelThatThenRuns) {
  TemporaryFolder folder;
  const std::string output = (folder / "q4").string();
  auto options = initialized(bitaxon_quantize_options_init);
  int n_reports = 0;
  options.user = &n_reports;
  options.progress = [](void* user, std::uint64_t, std::uint64_t) {
    ++*static_cast<int*>(user);
    return 0;
  };
  BufferHandle report;
  expect_ok(bitaxon_quantize(bundled().data(), bundled().size(), output.data(), output.size(),
                             &options, report.p));
  EXPECT_GT(n_reports, 2);
  const Json json = Json::parse(report.text());
  EXPECT_LT(json["total"]["bytes_after"], json["total"]["bytes_before"]);
  const ModelHandle model = open_model(output, model_options());
  BufferHandle info;
  expect_ok(bitaxon_model_info(model.p, info.p));
  EXPECT_EQ(Json::parse(info.text())["format"], "q4_affine_g64");
  const std::string before = report.text();
  expect_failure(bitaxon_quantize(bundled().data(), bundled().size(), output.data(), output.size(),
                                  nullptr, report.p),
                 BITAXON_STATUS_IO, "q4");
  EXPECT_EQ(report.text(), before);
}

TEST(CRewrite, MergesAnAdapterAsTheLibraryDoes) {
  const std::filesystem::path families = golden_dir() / "families";
  const std::string adapter = (families / "lora_peft_qwen3").string();
  std::ifstream file(families / "lora_peft_qwen3" / "case.json");
  const std::string base =
      (families / Json::parse(file)["base"].get<std::string>() / "model.safetensors").string();
  TemporaryFolder folder;
  const std::string output = (folder / "merged").string();
  BufferHandle report;
  expect_ok(bitaxon_merge(base.data(), base.size(), adapter.data(), adapter.size(), output.data(),
                          output.size(), nullptr, report.p));
  EXPECT_TRUE(Json::parse(report.text()).contains("total"));
  Rewrite expected = Rewrite::merge(model_files(base), {.adapter = adapter});
  ASSERT_TRUE(expected.write(folder / "expected").has_value());
  const auto bytes = [&](const char* name) {
    std::ifstream weights((folder / name) / "model.safetensors", std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(weights), {});
  };
  EXPECT_FALSE(bytes("merged").empty());
  EXPECT_TRUE(bytes("merged") == bytes("expected"));
}

TEST(CRewrite, AnInterruptedCallWritesNothing) {
  TemporaryFolder folder;
  const std::string output = (folder / "new").string();
  auto options = initialized(bitaxon_quantize_options_init);
  options.progress = [](void*, std::uint64_t, std::uint64_t) { return 1; };
  expect_failure(bitaxon_quantize(bundled().data(), bundled().size(), output.data(), output.size(),
                                  &options, nullptr),
                 BITAXON_STATUS_INTERRUPTED);
  CancelHandle cancel;
  expect_ok(bitaxon_cancel_new(&cancel.p));
  bitaxon_cancel_set(cancel.p);
  options = initialized(bitaxon_quantize_options_init);
  options.cancel = cancel.p;
  expect_failure(bitaxon_quantize(bundled().data(), bundled().size(), output.data(), output.size(),
                                  &options, nullptr),
                 BITAXON_STATUS_INTERRUPTED);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(CRewrite, RefusesOptionsThatNoModelCanHave) {
  TemporaryFolder folder;
  const std::string output = (folder / "new").string();
  const auto refuses = [&](const auto& set) {
    auto options = initialized(bitaxon_quantize_options_init);
    set(options);
    expect_failure(bitaxon_quantize(bundled().data(), bundled().size(), output.data(),
                                    output.size(), &options, nullptr),
                   BITAXON_STATUS_INVALID_ARGUMENT);
  };
  refuses([](auto& o) { o.bits = 5; });
  refuses([](auto& o) { o.group_size = 7; });
  refuses([](auto& o) { o.format = "q5", o.format_size = 2; });
  refuses([](auto& o) { o.nested = 2; });
  refuses([](auto& o) { o.nested = 1; });
  refuses([](auto& o) { o.format = "nf4", o.format_size = 3, o.bits = 8; });
  refuses([](auto& o) { o.reserved = 1; });
  expect_failure(bitaxon_quantize(bundled().data(), bundled().size(), bundled().data(),
                                  bundled().size(), nullptr, nullptr),
                 BITAXON_STATUS_INVALID_ARGUMENT, "output");
  auto merge = initialized(bitaxon_merge_options_init);
  merge.dtype = 4;
  expect_failure(bitaxon_merge(bundled().data(), bundled().size(), "a", 1, output.data(),
                               output.size(), &merge, nullptr),
                 BITAXON_STATUS_INVALID_ARGUMENT, "dtype");
  const std::string missing = "/nonexistent/adapter";
  expect_failure(bitaxon_merge(bundled().data(), bundled().size(), missing.data(), missing.size(),
                               output.data(), output.size(), nullptr, nullptr),
                 BITAXON_STATUS_IO, missing);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(CEvaluate, MeasuresWhatTheLibraryMeasures) {
  const ModelHandle model = open_bundled();
  const StateHandle taken = new_state(model);  // a window needs no slot of the callers
  const std::vector<std::int32_t> ids = tokenize(model, "ROMEO: What light through yonder window");
  Session session =
      open_session({.model = bundled()}, "cpu", {.precision = Precision::exact}, {.n_threads = 1});
  const auto expected = evaluate(session.model, nullptr, ids, {.seq_length = 8});
  auto options = initialized(bitaxon_evaluate_options_init);
  options.seq_length = 8;
  auto found = initialized(bitaxon_evaluation_init);
  expect_ok(bitaxon_evaluate(model.p, ids.data(), ids.size(), &options, &found));
  EXPECT_EQ(found.tokens, std::ssize(ids) - 1);
  EXPECT_EQ(found.windows, expected->windows);
  EXPECT_EQ(found.perplexity, expected->model.value());
  EXPECT_EQ(found.std_error, expected->model.std_error());

  const bitaxon_evaluation before = found;
  options.progress = [](void*, std::uint64_t, std::uint64_t) { return 1; };
  expect_failure(bitaxon_evaluate(model.p, ids.data(), ids.size(), &options, &found),
                 BITAXON_STATUS_INTERRUPTED);
  options.progress = nullptr;
  options.seq_length = 0;
  expect_failure(bitaxon_evaluate(model.p, ids.data(), ids.size(), &options, &found),
                 BITAXON_STATUS_INVALID_ARGUMENT, "sequence length");
  options.seq_length = 8;
  options.batch_size = 33;
  expect_failure(bitaxon_evaluate(model.p, ids.data(), ids.size(), &options, &found),
                 BITAXON_STATUS_INVALID_ARGUMENT);
  options.batch_size = 1;
  options.carry = 2;
  expect_failure(bitaxon_evaluate(model.p, ids.data(), ids.size(), &options, &found),
                 BITAXON_STATUS_INVALID_ARGUMENT, "carry");
  EXPECT_EQ(std::memcmp(&found, &before, sizeof(found)), 0);
}

}  // namespace
}  // namespace bitaxon::test
