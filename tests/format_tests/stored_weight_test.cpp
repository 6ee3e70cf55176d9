// Compares weights that this program writes with files that the original programs of each format
// write.
#include "formats/stored_weight.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "format_tests/stored_tensor.h"
#include "formats/weight_source.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"

namespace bitaxon {
namespace {

using test::TemporaryFolder;

constexpr const char* kState = ".quant_state.bitsandbytes__nf4";

std::string text_of(const Checkpoint& file, const std::string& name) {
  const std::vector<std::byte> bytes = bytes_of(file, name);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(StoredWeight, Nf4MatchesTheFilesOfBitsandbytes) {
  const TemporaryFolder folder;
  const Checkpoint golden = Checkpoint::open(test::golden_dir() / "ops" / "nf4.safetensors");
  std::vector<WeightSource> sources;
  std::vector<StoredWeight> weights;
  for (const auto& [name, shape] :
       {std::pair("nested.weight", Shape{96, 256}), std::pair("plain.weight", Shape{48, 128}),
        std::pair("experts.weight", Shape{3, 32, 64})}) {
    sources.push_back(*find_weight(golden, name, shape, true));
    weights.push_back({.name = name, .shape = shape, .desc = sources.back().desc});
    // The offset becomes known only when the weight is written.
    weights.back().desc.nested_offset = 0;
  }
  StoredWeightWriter writer(folder / "m.safetensors", weights, {{"other", DType::u8, {3}}},
                            {{"format", "pt"}});
  LoadedWeight loaded;
  std::vector<std::uint64_t> sizes;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    read_weight(golden, sources[i], loaded);
    sizes.push_back(writer.write(i, sources[i].desc, loaded.parts));
  }
  writer.write_other(0, 0, std::as_bytes(std::span("abc", 3)));
  writer.commit();

  const Checkpoint written = Checkpoint::open(folder / "m.safetensors");
  EXPECT_EQ(text_of(written, "other"), "abc");
  for (std::size_t i = 0; i < sources.size(); ++i) {
    std::uint64_t size = 0;
    for (const TensorInfo* tensor : tensors_of(sources[i])) {
      ASSERT_NE(written.find(tensor->name), nullptr) << tensor->name;
      EXPECT_EQ(written.find(tensor->name)->shape, tensor->shape) << tensor->name;
      EXPECT_EQ(bytes_of(written, tensor->name), bytes_of(golden, tensor->name)) << tensor->name;
      size += tensor->size_bytes;
    }
    EXPECT_EQ(sizes[i], size);
  }
  EXPECT_EQ(written.metadata().at("format"), "pt");
}

TEST(StoredWeight, FormatsNumbersLikePython) {
  const TemporaryFolder folder;
  const std::vector<std::pair<float, const char*>> numbers = {
      {0x1.0a07e4p-5F, "0.03247446566820145"},
      {0x1p+50F, "1125899906842624.0"},
      {0x1.1c3794p+53F, "1.0000000272564224e+16"},
      {0x1p+60F, "1.152921504606847e+18"},
      {0x1.a36e2ep-14F, "9.999999747378752e-05"},
      {0x1.9f3c7p-10F, "0.0015839999541640282"},
      {3.0F, "3.0"},
      {0.0F, "0.0"},
      {0x1.fffffep+127F, "3.4028234663852886e+38"},
      {0x1p-126F, "1.1754943508222875e-38"},
  };
  for (const auto& [number, text] : numbers) {
    WeightDesc desc{.name = "x.weight",
                    .format = WeightFormat::codebook,
                    .cols = 64,
                    .dtype = DType::bf16,
                    .group_size = 64,
                    .nested = true,
                    .nested_group_size = 256};
    StoredWeightWriter writer(folder / "m.safetensors",
                              {{.name = desc.name, .shape = {1, 64}, .desc = desc}}, {}, {});
    desc.nested_offset = number;
    LoadedWeight zeros;
    lay_out(desc, zeros);
    writer.write(0, desc, zeros.parts);
    writer.commit();
    const Checkpoint file = Checkpoint::open(folder / "m.safetensors");
    EXPECT_EQ(text_of(file, std::string("x.weight") + kState),
              std::string(R"({"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", )") +
                  R"("shape": [1, 64], "nested_blocksize": 256, "nested_dtype": "float32", )" +
                  R"("nested_offset": )" + text + "}");
    EXPECT_EQ(find_weight(file, "x.weight", {1, 64}, true)->desc.nested_offset, number);
  }
}

}  // namespace
}  // namespace bitaxon
