// Tests of `bit-axon doctor`: what it reports about a device that computes right, and about a device
// whose kernels are wrong.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <regex>

#include "program.h"
#include "support/json_schema.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

namespace fs = std::filesystem;

const Arguments kDoctor = {"doctor", "--quiet", "--preset", "small"};

Json report(const Finished& finished) {
  EXPECT_EQ(finished.err, "");
  Json json = parse_json(finished.out, "stdout");
  expect_keeps_to_schema("doctor", json);
  return json;
}

void expect_right(const Json& json) {
  EXPECT_EQ(json["is_right"], true);
  EXPECT_TRUE(json["problem"].is_null()) << json["problem"];
  for (const Json& checks : json["ops"]) {
    EXPECT_GT(checks["ops"], 30);
    EXPECT_GE(checks["cases"], checks["ops"]);
    EXPECT_LE(checks["largest_error"], 1);
  }
  EXPECT_EQ(json["tokens"]["tokens"], 200);
  EXPECT_EQ(json["speed"]["tests"].size(), 3U);
  for (const Json& test : json["speed"]["tests"]) {
    EXPECT_GT(test["tokens_per_sec"], 0);
    EXPECT_GT(test["shares"]["read"], 0);
  }
  EXPECT_GT(json["rates"]["float32_flops_per_sec"], 0);
}

TEST(DoctorCli, FindsTheCpuRight) {
  const Finished finished = run({"doctor", "--quiet", "--device", "cpu", "--json"});
  EXPECT_EQ(finished.status, 0) << finished.describe();
  const Json json = report(finished);
  expect_right(json);
  EXPECT_GE(json["device"]["threads"], 1);
  EXPECT_EQ(json["speed"]["model"], "the small preset with random weights");
  EXPECT_EQ(json["ops"].size(), 2U);
  EXPECT_EQ(json["tokens"]["compared_with"], "reference");
}

TEST(DoctorCli, PrintsWhatIsDoneWhenItIsStopped) {
  // A test of the reference takes seconds.
  Program program({"doctor", "--preset", "small", "--device", "reference", "--json"});
  ASSERT_TRUE(program.read_until([](const std::string&, const std::string& err) {
    return err.find("prefill and decoding") != std::string::npos;
  }));
  program.send_signal(SIGTERM);
  const Finished finished = program.finish();
  EXPECT_EQ(finished.status, 130) << finished.describe();
  const Json json = parse_json(finished.out, "stdout");
  expect_keeps_to_schema("doctor", json);
  EXPECT_EQ(json["is_right"], true);
  EXPECT_EQ(json["tokens"]["tokens"], 200);
  EXPECT_TRUE(json["speed"].is_null());
  EXPECT_EQ(json["left_out"], Json({"prefill and decoding: interrupted"}));
}

TEST(DoctorCli, RefusesBadArguments) {
  const auto refused = [](const Arguments& arguments, int status, const std::string& words) {
    const Finished finished = run(Arguments{"doctor"} + arguments);
    EXPECT_EQ(finished.status, status) << finished.describe();
    EXPECT_NE(finished.err.find(words), std::string::npos) << finished.err;
  };
  refused({"--device", "gpu"}, 2, "--device: expected");
  refused({"--device", "vulkan:99"}, 1, "vulkan:99");
  refused({"--preset", "huge"}, 2, "--preset: expected one of");
  refused({"surplus"}, 2, "surplus");
}

#ifdef BITAXON_WITH_VULKAN
TEST(DoctorCli, EndsWithAVerdictOfThreeLines) {
  const Finished finished = run(kDoctor + Arguments{"--device", "vulkan:llvmpipe"});
  EXPECT_EQ(finished.status, 0) << finished.describe();
  EXPECT_NE(finished.out.find("greedy tokens are those of the cpu"), std::string::npos);
  EXPECT_NE(finished.out.find("\nvariant "), std::string::npos) << finished.out;
  const std::regex decoding(
      R"(decode 16 at 64: \S+ tokens/s, \S+ % of the \w+ limit )"
      R"(\(read \S+ %, float32 \S+ %, launches \S+ %\); \d+ dispatches in a step\n)");
  EXPECT_TRUE(std::regex_search(finished.out, decoding)) << finished.out;
  const std::size_t verdict = finished.out.find("\nverdict     results: right\n");
  ASSERT_NE(verdict, std::string::npos) << finished.out;
  const std::string end = finished.out.substr(verdict + 1);
  EXPECT_EQ(std::count(end.begin(), end.end(), '\n'), 3) << end;
}

TEST(DoctorCli, FindsAWrongKernel) {
  const TemporaryFolder folder;
  const fs::path shaders = folder / "shaders";
  fs::copy(source_tree() / "shaders", shaders, fs::copy_options::recursive);
  const fs::path add = shaders / "add.comp";
  std::string text = read_file(add);
  const std::size_t plus = text.find(" + b[");
  ASSERT_NE(plus, std::string::npos) << text;
  write_file(add, text.replace(plus, 5, " - b["));
  const Finished finished = run(kDoctor + Arguments{"--device", "vulkan:llvmpipe", "--json",
                                                    "--shader-dir", shaders.string()});
  EXPECT_EQ(finished.status, 1) << finished.describe();
  const Json json = report(finished);
  EXPECT_EQ(json["is_right"], false);
  EXPECT_EQ(json["problem_cause"], "result");
  EXPECT_TRUE(json["device"]["threads"].is_null()) << json["device"];
  EXPECT_NE(json["problem"].get<std::string>().find("add/"), std::string::npos) << json["problem"];
}
#endif

}  // namespace
}  // namespace bitaxon::test
