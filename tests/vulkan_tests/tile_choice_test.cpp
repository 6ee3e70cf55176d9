// Tests of the choice among variants of products of many rows.
#include "vulkan/device/tile_choice.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <future>
#include <iterator>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/temporary_folder.h"
#include "vulkan/device/attempt.h"
#include "vulkan_tests/test_gpu.h"

namespace bitaxon::test {
namespace {

std::string variant_of(const Backend& backend) { return backend.caps().variants.at(0).variant; }

TEST(TileChoice, IsThePlainVariantWithoutMatrixUnits) {
  vulkan::VulkanOptions options = test_options();
  options.limit_caps = [](vulkan::DeviceCaps& caps) { caps.matrix_shapes.clear(); };
  EXPECT_EQ(variant_of(*vulkan::open_vulkan_backend(options)), "float32");
  options.tiles = "float32";
  EXPECT_EQ(variant_of(*vulkan::open_vulkan_backend(options)), "float32");
  options.tiles = "matrix-64";
  expect_error([&] { vulkan::open_vulkan_backend(options); }, ErrorKind::unsupported,
               {"matrix-64", "needs matrix units"});
}

TEST(TileChoice, IsHalvesIfTheyAreAskedFor) {
  vulkan::VulkanOptions options = test_options();
  options.tiles = "float16";
  const auto backend = vulkan::open_vulkan_backend(options);
  EXPECT_EQ(variant_of(*backend), "float16");
  EXPECT_TRUE(vulkan::device_caps(*backend).float16_tiles);
  options.limit_caps = [](vulkan::DeviceCaps& caps) {
    caps.shader_float16 = caps.packed_halves = caps.float16_tiles = false;
  };
  expect_error([&] { vulkan::open_vulkan_backend(options); }, ErrorKind::unsupported,
               {"float16", "needs float16 arithmetic"});
}

TEST(TileVariants, AreThoseThatADeviceCanRun) {
  const auto names = [](const vulkan::DeviceCaps& caps) {
    std::string all;
    for (const vulkan::TileVariant& variant : vulkan::tile_variants(caps))
      all += std::string(all.empty() ? "" : " ") + variant.name;
    return all;
  };
  vulkan::DeviceCaps caps;
  EXPECT_EQ(names(caps), "float32");
  caps.packed_halves = true;
  EXPECT_EQ(names(caps), "float16 float32");
  caps.shader_float16 = caps.memory_model = true;
  caps.matrix_shapes = {{16, 16, 16}};
  caps.min_subgroup_size = caps.max_subgroup_size = 32;
  caps.max_group_invocations = caps.max_group_size[0] = 1024;
  caps.max_shared_bytes = 65536;
  EXPECT_EQ(names(caps), "matrix-64 matrix-128 float16 float32");
  caps.max_shared_bytes = 16384;
  EXPECT_EQ(names(caps), "matrix-64 float16 float32");
  expect_error([&] { vulkan::check_tiles("matrix-128", caps); }, ErrorKind::unsupported,
               {"matrix-128 needs shared memory for such a tile"});
}

TEST(TileChoice, RefusesAnUnknownVariant) {
  vulkan::VulkanOptions options = test_options();
  options.tiles = "large";
  expect_error([&] { vulkan::open_vulkan_backend(options); }, ErrorKind::invalid_argument,
               {"tiles", "large"});
}

/// The choice on this device with notes in `folder`. On a device without matrix units, all variants are
/// the same, but they are measured all the same.
VariantChoice choice_in(const std::filesystem::path& folder, const std::string& wanted = "",
                        std::vector<std::string>* used = nullptr) {
  const TestGpu gpu;
  const vulkan::PipelineCache notes(gpu.device(), folder);
  return vulkan::choose_tiles(vulkan_backend(), wanted,
                              {std::begin(vulkan::kTileVariants), std::end(vulkan::kTileVariants)},
                              {"products", "", "tested"}, notes,
                              [&](const vulkan::TileVariant& variant) {
                                if (used != nullptr) used->push_back(variant.name);
                              });
}

void write_note(const TemporaryFolder& folder, std::string_view text) {
  for (const auto& file : std::filesystem::directory_iterator(folder.path()))
    if (file.path().extension() == ".tiles") folder.write(file.path().filename().string(), text);
}

TEST(TileChoice, IsMeasuredOnceAndKept) {
  const TemporaryFolder folder;
  std::vector<std::string> used;
  const VariantChoice choice = choice_in(folder.path(), "", &used);
  ASSERT_EQ(used.size(), 5U) << "four variants are measured, and one is chosen";
  EXPECT_EQ(std::vector(used.begin(), used.end() - 1),
            (std::vector<std::string>{"matrix-64", "matrix-128", "float16", "float32"}));
  for (const char* name : {"matrix-64 took", "matrix-128 took", "float16 took", "float32 took"})
    EXPECT_NE(choice.reason.find(name), std::string::npos) << choice.reason;

  used.clear();
  const VariantChoice kept = choice_in(folder.path(), "", &used);
  EXPECT_EQ(kept.variant, choice.variant);
  EXPECT_EQ(kept.reason, choice.reason) << "the times are those of the first run";
  EXPECT_EQ(used.size(), 1U);
}

TEST(TileChoice, FollowsTheNoteUnlessItIsDamaged) {
  const TemporaryFolder folder;
  choice_in(folder.path());
  write_note(folder, "matrix-128\nit was faster");
  EXPECT_EQ(choice_in(folder.path()).variant, "matrix-128");
  for (const char* damaged : {"", "matrix-128", "large\nit was faster"}) {
    write_note(folder, damaged);
    EXPECT_NE(choice_in(folder.path()).reason.find("took"), std::string::npos) << damaged;
  }
}

/// Notes that `runs` earlier runs ended while they measured a variant.
void end_runs(const TemporaryFolder& folder, const char* variant, int runs) {
  const TestGpu gpu;
  const vulkan::PipelineCache notes(gpu.device(), folder.path());
  for (int i = 0; i < runs; ++i) vulkan::Attempt(notes, "measurement", variant);
}

TEST(TileChoice, LeavesOutAVariantThatEndedTwoEarlierRuns) {
  const TemporaryFolder folder;
  end_runs(folder, "matrix-64", 2);
  end_runs(folder, "matrix-128", 2);
  end_runs(folder, "float16", 1);
  std::vector<std::string> used;
  const VariantChoice choice = choice_in(folder.path(), "", &used);
  used.pop_back();
  EXPECT_EQ(used, (std::vector<std::string>{"float16", "float32"}))
      << "a single run may have been ended by the user";
  EXPECT_NE(choice.reason.find("two earlier runs ended in the measurement of matrix-128"),
            std::string::npos)
      << choice.reason;
  EXPECT_EQ(choice_in(folder.path()).reason, choice.reason) << "the choice is kept";

  end_runs(folder, "float16", 2);
  end_runs(folder, "float32", 2);
  write_note(folder, "");
  EXPECT_EQ(choice_in(folder.path()).variant, "float32");
}

TEST(TileChoice, IsMadeByOneProcessAtATime) {
  const TemporaryFolder folder;
  const TestGpu gpu;
  const vulkan::PipelineCache notes(gpu.device(), folder.path());
  auto turn = vulkan::wait_for_turn(notes);
  ASSERT_TRUE(turn.has_value() && turn->is_held()) << turn->problem();
  auto next = std::async(std::launch::async, [&] { return vulkan::wait_for_turn(notes); });
  EXPECT_EQ(next.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  turn.reset();
  EXPECT_TRUE(next.get()->is_held());
}

TEST(TileChoice, IsNotMeasuredIfItCannotBeKept) {
  const VariantChoice choice = choice_in("");
  EXPECT_EQ(choice.variant, "matrix-64");
  EXPECT_NE(choice.reason.find("not measured"), std::string::npos);
}

TEST(TileChoice, IsTheOneThatIsAskedFor) {
  const TemporaryFolder folder;
  std::vector<std::string> used;
  EXPECT_EQ(choice_in(folder.path(), "matrix-128", &used).variant, "matrix-128");
  EXPECT_EQ(used, std::vector<std::string>{"matrix-128"});
}

TEST(TileChoice, RefusesAVariantThatFailsItsTest) {
  expect_error(
      [] {
        vulkan::choose_tiles(vulkan_backend(), "matrix-64", {vulkan::tile_variant("float32")},
                             {"products", "", "the self-test of matrix-64 failed: off by 1"},
                             vulkan::PipelineCache(TestGpu().device(), ""),
                             [](const vulkan::TileVariant&) {});
      },
      ErrorKind::unsupported, {"tiles: matrix-64 computes wrong results here", "off by 1"});
}

}  // namespace
}  // namespace bitaxon::test
