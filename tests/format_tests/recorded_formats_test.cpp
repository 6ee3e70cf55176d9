// Weights that mlx-lm and bitsandbytes stored, and what those programs decode them to.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "format_tests/stored_tensor.h"
#include "formats/load_weight.h"
#include "formats/weight_source.h"
#include "support/errors.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"

namespace bitaxon {
namespace {

/// The first and the last row of a weight.
std::vector<float> outer_rows(const WeightDesc& desc, const WeightParts& parts) {
  const auto cols = static_cast<std::size_t>(desc.cols);
  std::vector<float> rows(2 * cols);
  decode(desc, parts, 0, std::span(rows).first(cols));
  decode(desc, parts, desc.elements() - desc.cols, std::span(rows).subspan(cols));
  return rows;
}

/// The weights in a file that has, for each weight X.weight, its logical shape in X.shape and its
/// decoded first and last row in X.dequantized.
struct RecordedWeights {
  Checkpoint file;
  std::vector<std::string> stems;

  explicit RecordedWeights(const std::filesystem::path& path) : file(Checkpoint::open(path)) {
    constexpr std::string_view kEnd = ".dequantized";
    for (const TensorInfo& tensor : file.tensors())
      if (tensor.name.ends_with(kEnd))
        stems.push_back(tensor.name.substr(0, tensor.name.size() - kEnd.size()));
  }

  WeightSource find(const std::string& stem) const {
    const std::vector<std::byte> bytes = bytes_of(file, stem + ".shape");
    std::vector<std::int32_t> dims(bytes.size() / sizeof(std::int32_t));
    std::memcpy(dims.data(), bytes.data(), bytes.size());
    const std::vector<std::int64_t> wide(dims.begin(), dims.end());
    return find_weight(file, stem + ".weight", Shape(std::span<const std::int64_t>(wide)), true)
        .value();
  }
};

RecordedWeights recorded_weights() {
  return RecordedWeights(test::golden_dir() / "ops" / "stored_formats.safetensors");
}

TEST(RecordedFormats, DecodeToTheRecordedValues) {
  const RecordedWeights recorded = recorded_weights();
  std::set<std::string> formats;
  for (const std::string& stem : recorded.stems) {
    SCOPED_TRACE(stem);
    const WeightSource source = recorded.find(stem);
    formats.insert(source.desc.format_name());
    LoadedWeight loaded;
    read_weight(recorded.file, source, loaded);
    const std::vector<float> decoded = outer_rows(source.desc, loaded.parts);
    const std::vector<float> expected = floats_of(recorded.file, stem + ".dequantized");
    ASSERT_EQ(decoded.size(), expected.size());
    // With F32 scales, the original program rounds product and sum, and this program rounds once.
    const bool rounds_twice =
        source.desc.format == WeightFormat::affine && source.desc.dtype == DType::f32;
    for (std::size_t i = 0; i < decoded.size(); ++i) {
      if (rounds_twice)
        ASSERT_NEAR(decoded[i], expected[i], 2.5e-7) << "element " << i;
      else
        ASSERT_EQ(decoded[i], expected[i]) << "element " << i;
    }
  }
  EXPECT_EQ(formats, (std::set<std::string>{"fp4_g64", "int8", "mxfp4_g32", "nf4_g64",
                                            "q2_affine_g32", "q3_affine_g64", "q4_affine_g64",
                                            "q5_affine_g32", "q6_affine_g64", "q8_affine_g64"}));
}

TEST(RecordedFormats, KeepEveryValueWhenTheyAreLoaded) {
  const RecordedWeights recorded = recorded_weights();
  std::set<std::string> formats;
  for (const std::string& stem : recorded.stems) {
    SCOPED_TRACE(stem);
    const WeightSource source = recorded.find(stem);
    LoadedWeight stored, loaded;
    read_weight(recorded.file, source, stored);
    const WeightDesc desc = load_weight(recorded.file, source, loaded);
    formats.insert(desc.format_name());
    std::vector<float> before(static_cast<std::size_t>(source.desc.elements()));
    std::vector<float> after(before.size());
    decode(source.desc, stored.parts, 0, before);
    decode(desc, loaded.parts, 0, after);
    EXPECT_EQ(before, after);
  }
  EXPECT_EQ(formats, (std::set<std::string>{"fp4_g64", "mxfp4_g32", "nf4_g64", "q4_affine_g32",
                                            "q4_affine_g64", "q8_affine_g32", "q8_affine_g60",
                                            "q8_affine_g64"}));
}

}  // namespace
}  // namespace bitaxon
