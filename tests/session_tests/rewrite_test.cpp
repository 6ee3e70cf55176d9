// Tests of the library functions that write a new model from an old one. cli_tests has the tests of
// what the new model holds.
#include "bitaxon/rewrite.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <optional>

#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

class RewriteTest : public testing::Test {
 protected:
  RewriteTest() { write_model(folder_.path(), random_stored(BitAxonConfig::small(), 1)); }

  TemporaryFolder folder_;
  const ModelFiles files_ = model_files(folder_.path());
};

TEST_F(RewriteTest, QuantizesIntoANewFolder) {
  Rewrite rewrite = Rewrite::quantize(files_, {.format = "nf4"});
  EXPECT_TRUE(rewrite.has_codes());
  EXPECT_TRUE(rewrite.warnings().empty());
  const fs::path output = default_quantized_folder({.files = files_, .note = {}, .repository = {}});
  EXPECT_EQ(output, folder_.path() / "q4");
  std::uint64_t done = 0, total = 1;
  const auto report = rewrite.write(output, [&](std::uint64_t done_bytes, std::uint64_t of_bytes) {
    done = done_bytes;
    total = of_bytes;
  });
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(done, total);
  EXPECT_LT(report->total.bytes_after, report->total.bytes_before / 4);
  EXPECT_GT(report->total.relative_error(), 0.01);
  EXPECT_EQ(open_session({.model = output.string()}, "cpu").model.main_format(), "nf4_g64");
}

TEST_F(RewriteTest, AnInterruptionLeavesNoFolder) {
  const std::atomic<bool> interrupted{true};
  const fs::path output = folder_.path() / "new";
  EXPECT_FALSE(Rewrite::quantize(files_).write(output, {}, &interrupted).has_value());
  EXPECT_FALSE(fs::exists(output));
}

TEST_F(RewriteTest, RefusesUnknownFormatsAndMissingAdapters) {
  expect_error([&] { Rewrite::quantize(files_, {.format = "int8"}); }, ErrorKind::invalid_argument,
               {"int8"});
  expect_error([&] { Rewrite::merge(files_, {.adapter = folder_.path() / "nosuch"}); },
               ErrorKind::io, {"nosuch"});
  EXPECT_TRUE(is_own_input(files_, folder_.path() / "."));
  EXPECT_FALSE(is_own_input(files_, folder_.path() / "new"));
}

}  // namespace
}  // namespace bitaxon::test
