// Tests of formats that the program does not read. The error message must name the format in one
// line.
#include "formats/foreign_format.h"

#include <gtest/gtest.h>

#include "format_tests/stored_tensor.h"
#include "formats/weight_source.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

namespace bitaxon {
namespace {

using test::expect_error;
using test::TemporaryFolder;

StoredType type(std::string_view name) { return StoredType::named(name).value(); }

/// The weight x.weight of logical shape [64, 128], in the form in which another tool stores it.
struct Stored {
  /// The name of the format in the error message. Empty if the program can read the format.
  std::string_view format;
  std::vector<StoredTensor> tensors;
};

const std::vector<Stored>& stored_weights() {
  const auto mlx = [](std::int64_t bits, std::int64_t group_size, StoredType scale = DType::f16) {
    return std::vector<StoredTensor>{zeros("x.weight", DType::u32, {64, 128 * bits / 32}),
                                     zeros("x.scales", scale, {64, 128 / group_size}),
                                     zeros("x.biases", scale, {64, 128 / group_size})};
  };
  const auto bitsandbytes = [](const char* kind, StoredType dtype, std::int64_t rows) {
    return std::vector<StoredTensor>{
        zeros("x.weight", dtype, {rows, 1}), zeros("x.weight.absmax", DType::f32, {128}),
        zeros(std::string("x.weight.quant_state.bitsandbytes__") + kind, DType::u8, {90})};
  };
  static const std::vector<Stored> all = {
      {"", mlx(2, 64)},
      {"", mlx(3, 64)},
      {"", mlx(5, 32)},
      {"", mlx(6, 128)},
      {"", mlx(8, 64)},
      {"", mlx(4, 64)},
      {"", mlx(4, 32, DType::u8)},
      {"", mlx(4, 16, DType::u8)},
      {"", mlx(8, 32, DType::u8)},
      {"GPTQ 4-bit",
       {zeros("x.qweight", DType::i32, {16, 64}), zeros("x.qzeros", DType::i32, {1, 8}),
        zeros("x.scales", DType::f16, {1, 64}), zeros("x.g_idx", DType::i32, {128})}},
      {"GPTQ 8-bit", {zeros("x.qweight", DType::i32, {32, 64})}},
      {"AWQ 4-bit",
       {zeros("x.qweight", DType::i32, {128, 8}), zeros("x.qzeros", DType::i32, {1, 8})}},
      {"", {zeros("x.weight", type("I8"), {64, 128}), zeros("x.SCB", DType::f32, {64})}},
      {"NF4 stored as bfloat16", bitsandbytes("nf4", DType::bf16, 2048)},
      {"NF4 stored as float16", bitsandbytes("nf4", DType::f16, 2048)},
      {"FP4 stored as float32", bitsandbytes("fp4", DType::f32, 1024)},
      {"FP8 with scales of blocks",
       {zeros("x.weight", type("F8_E4M3"), {64, 128}),
        zeros("x.weight_scale_inv", DType::bf16, {1, 1})}},
      {"FP8 with scales",
       {zeros("x.weight", type("F8_E4M3"), {64, 128}), zeros("x.weight_scale", DType::f32, {1})}},
      {"FP8", {zeros("x.weight", type("F8_E5M2"), {64, 128})}},
      {"FP6", {zeros("x.weight", type("F6_E2M3"), {64, 128})}},
      {"FP4", {zeros("x.weight", type("F4"), {64, 128})}},
      {"compressed-tensors 4-bit",
       {zeros("x.weight_packed", DType::i32, {64, 16}),
        zeros("x.weight_scale", DType::f16, {64, 1}), zeros("x.weight_shape", DType::i64, {2})}},
      {"NVFP4 of compressed-tensors",
       {zeros("x.weight_packed", DType::u8, {64, 64}),
        zeros("x.weight_global_scale", DType::f32, {1})}},
      {"NVFP4 of ModelOpt",
       {zeros("x.weight", DType::u8, {64, 64}), zeros("x.weight_scale", type("F8_E4M3"), {64, 8}),
        zeros("x.weight_scale_2", DType::f32, {})}},
      {"integers with scales, 8-bit",
       {zeros("x.weight", type("I8"), {64, 128}), zeros("x.weight_scale", DType::f32, {64, 1})}},
      {"integers with scales, 2-bit",
       {zeros("x.weight", DType::u8, {16, 128}), zeros("x.weight_scale", DType::bf16, {1})}},
      {"HQQ", {zeros("x.W_q", DType::u8, {64, 64})}},
      {"MXFP4", {zeros("x_blocks", DType::u8, {64, 4, 16}), zeros("x_scales", DType::u8, {64, 4})}},
      {"AQLM", {zeros("x.codebooks", DType::f16, {1, 256, 1, 8})}},
      {"EXL2", {zeros("x.q_weight", DType::i32, {16, 64})}},
      {"EXL3", {zeros("x.trellis", type("I16"), {8, 4, 64})}},
      {"Marlin", {zeros("x.B", DType::i32, {8, 128}), zeros("x.s", DType::f16, {1, 64})}},
      {"quanto", {zeros("x.weight._data", type("I8"), {64, 128})}},
      {"", {zeros("x.weight", DType::bf16, {64, 128}), zeros("x.scales", DType::f16, {64, 2})}},
  };
  return all;
}

TEST(ForeignFormat, IsNamedInOneLine) {
  TemporaryFolder folder;
  const auto path = folder / "m.safetensors";
  for (const Stored& stored : stored_weights()) {
    SCOPED_TRACE(stored.format);
    write_checkpoint(path, stored.tensors);
    const Checkpoint checkpoint = Checkpoint::open(path);
    const auto find = [&] { find_weight(checkpoint, "x.weight", {64, 128}, true); };
    if (stored.format.empty())
      EXPECT_NO_THROW(find());
    else
      expect_error(find, ErrorKind::unsupported, path.string() + ": tensor \"x",
                   std::string(stored.format) + " (");
  }
}

TEST(ForeignFormat, UnknownFormatsGetOtherMessages) {
  TemporaryFolder folder;
  const auto path = folder / "m.safetensors";
  write_checkpoint(path, {zeros("x.weight", type("F64"), {4, 64})});
  const Checkpoint checkpoint = Checkpoint::open(path);
  EXPECT_FALSE(foreign_format(checkpoint, "x.weight", {4, 64}));
  EXPECT_FALSE(foreign_format(checkpoint, "y.weight", {4, 64}));
  expect_error(
      [&] {
        find_weight(checkpoint, "x.weight", {4, 64}, true);
      },
      ErrorKind::format, path.string(), "got F64 [4, 64]");
}

TEST(ForeignFormat, NamesTheFileInAFolderWithoutSafetensors) {
  const std::pair<const char*, const char*> kinds[] = {
      {"model-q4_k_m.gguf", "a GGUF file"},
      {"pytorch_model.bin", "PyTorch's pickle format"},
      {"pytorch_model-00001-of-00002.bin", "PyTorch's pickle format"},
      {"consolidated.00.pth", "PyTorch's pickle format"},
      {"weights.npz", "a NumPy archive"},
      {"tf_model.h5", "TensorFlow's HDF5 format"},
      {"flax_model.msgpack", "Flax's format"},
      {"model.onnx", "an ONNX file"}};
  for (const auto& [name, kind] : kinds) {
    TemporaryFolder folder;
    folder.write("config.json", "{}");
    folder.write(name, "x");
    expect_error([&] { Checkpoint::open(folder.path()); }, ErrorKind::io, folder.path().string(),
                 std::string("there is no *.safetensors in this folder, but ") + name + ", " +
                     kind + ", which is not read; F32, F16, BF16, MLX");
  }
}

}  // namespace
}  // namespace bitaxon
