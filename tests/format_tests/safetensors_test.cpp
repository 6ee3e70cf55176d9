#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "format_tests/largest_allocation.h"
#include "format_tests/safetensors_bytes.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

namespace bitaxon {
namespace {

using test::expect_error;
using test::TemporaryFolder;

SafetensorsHeader parse(std::string_view header, std::uint64_t data_bytes) {
  return parse_safetensors_header(header, 8 + header.size() + data_bytes, "m.safetensors");
}

std::string bytes_of(const Checkpoint& checkpoint, std::string_view tensor) {
  const TensorInfo* info = checkpoint.find(tensor);
  if (info == nullptr) return "no tensor " + std::string(tensor);
  std::string bytes(info->size_bytes, '\0');
  checkpoint.read(*info, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

struct BrokenHeader {
  std::string_view header;
  std::uint64_t data_bytes;
  std::string_view fragment;
};

const BrokenHeader kBrokenHeaders[] = {
    // Texts that are not a header at all.
    {"", 0, "expected the header to begin with '{'"},
    {" {}", 0, "expected the header to begin with '{'"},
    {"[]", 0, "expected the header to begin with '{'"},
    {"\xef\xbb\xbf{}", 0, "expected the header to begin with '{'"},
    {"{", 0, "header: at byte 1: not JSON"},
    {"{}}", 0, "header: at byte 2: not JSON"},
    {"{} x", 0, "header: at byte 3: not JSON"},
    {std::string_view("{}\0\0", 4), 0, "header: at byte 2: not JSON: a NUL byte"},
    {"{\"\xff\":1}", 0, "UTF-8"},
    {R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", 1, "levels of nesting"},
    // Invalid keys.
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
        "a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
     1, "key \"a\" appears twice"},
    {R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
     "key \"dtype\" appears twice"},
    {R"({"__metadata__":{"k":"1","k":"2"}})", 0, "key \"k\" appears twice"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"extra":0}})", 1,
     "tensor \"a\": unknown key \"extra\""},
    {R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, "tensor \"a\": no key \"dtype\""},
    {R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "tensor \"a\": no key \"shape\""},
    {R"({"a":{"dtype":"U8","shape":[1]}})", 1, "tensor \"a\": no key \"data_offsets\""},
    {R"({"a":1})", 0, "tensor \"a\": expected an object, got 1"},
    {R"({"a":null})", 0, "tensor \"a\": expected an object, got null"},
    {R"({"evil\nname\u001b[2J":1})", 0, "tensor \"evil\\u{a}name\\u{1b}[2J\""},
    // Invalid metadata.
    {R"({"__metadata__":[]})", 0, "__metadata__: expected an object or null, got []"},
    {R"({"__metadata__":{"format":1}})", 0, "__metadata__: expected a string for \"format\""},
    {R"({"__metadata__":{"format":null}})", 0, "__metadata__: expected a string for \"format\""},
    // Invalid dtypes.
    {R"({"a":{"dtype":"F128","shape":[1],"data_offsets":[0,16]}})", 16,
     "tensor \"a\": expected a dtype of the format (F32, BF16, U8, ...), got \"F128\""},
    {R"({"a":{"dtype":"f32","shape":[1],"data_offsets":[0,4]}})", 4, "got \"f32\""},
    {R"({"a":{"dtype":"","shape":[1],"data_offsets":[0,4]}})", 4, "expected a dtype"},
    {R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}})", 4, "expected a dtype"},
    {R"({"a":{"dtype":"C64","shape":[3],"data_offsets":[0,12]}})", 12,
     "expected 3 * 8 bytes of data for C64 [3], got 12"},
    {R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2,
     "expected 3 * 4 bits of data for F4 [3], got 2 bytes"},
    {R"({"a":{"dtype":"F6_E2M3","shape":[4611686018427387904],"data_offsets":[0,0]}})", 0,
     "expected 4611686018427387904 * 6 bits of data"},
    // Invalid shapes.
    {R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", 1, "expected a shape"},
    {R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,1]}})", 1,
     "expected 2 * 1 bytes of data for U8 [1, 1, 1, 1, 1, 1, 1, 1, 2], got 1"},
    {R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1, "expected shape extents"},
    {R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1, "expected shape extents"},
    {R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", 1, "expected shape extents"},
    {R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}})", 1,
     "expected shape extents"},
    {R"({"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}})", 1,
     "expected shape extents"},
    {R"({"a":{"dtype":"U8","shape":[1e999],"data_offsets":[0,1]}})", 1, "number overflow"},
    {R"({"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
     "at most 2^62 elements"},
    {R"({"a":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}})", 0,
     "at most 2^62 elements"},
    {R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})", 0,
     "expected 4611686018427387904 * 4 bytes of data for F32 [4611686018427387904], got 0"},
    {R"({"a":{"dtype":"I64","shape":[1099511627776],"data_offsets":[0,8]}})", 8,
     "expected 1099511627776 * 8 bytes"},
    {R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,23]}})", 23,
     "expected 6 * 4 bytes of data for F32 [2, 3], got 23"},
    {R"({"a":{"dtype":"F16","shape":[],"data_offsets":[0,0]}})", 0, "expected 1 * 2 bytes"},
    // Invalid offsets.
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1, "expected data_offsets"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}})", 1, "expected data_offsets"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":null}})", 1, "expected data_offsets"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", 1, "expected data_offsets"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0.0,1]}})", 1, "expected data_offsets"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1, "expected data_offsets"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551615]}})", 1,
     "expected data_offsets"},
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[9223372036854775807,9223372036854775807]}})",
     1, "expected 1 * 1 bytes"},
    // Gaps and overlaps between the data of tensors.
    {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2,
     "tensor \"a\": expected its data at byte 0 of the data"},
    {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
        "b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
     3,
     "tensor \"b\": expected its data at byte 2 of the data, where the previous tensor ends, got 1 "
     "(they overlap)"},
    {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
        "b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
     2, "they overlap"},
    {R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]},
        "a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
     5,
     "tensor \"b\": expected its data at byte 2 of the data, where the previous tensor ends, got 3 "
     "(there is a gap)"},
    {R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[7,7]}})", 0, "there is a gap"},
    {R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 3, "found 1 bytes more"},
    {"{}", 1, "found 1 bytes more"},
    {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 3,
     "the download looks incomplete"},
    {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 0,
     "expected 65 bytes, found 61: the download looks incomplete"},
};

TEST(SafetensorsHeader, RefusesEveryBrokenHeader) {
  for (const BrokenHeader& broken : kBrokenHeaders) {
    SCOPED_TRACE(broken.header);
    expect_error([&] { parse(broken.header, broken.data_bytes); }, ErrorKind::format,
                 "m.safetensors: ", broken.fragment);
  }
}

TEST(SafetensorsHeader, AcceptsEverythingThatTheFormatAllows) {
  EXPECT_TRUE(parse("{}", 0).tensors.empty());
  EXPECT_TRUE(parse(R"({"__metadata__":null})", 0).metadata.empty());
  EXPECT_EQ(parse("{\"__metadata__\":{\"a\":\"\xc3\xa4\",\"\":\"\"}}   ", 0).metadata,
            (std::map<std::string, std::string>{{"a", "ä"}, {"", ""}}));
  const SafetensorsHeader header = parse(
      R"({"last":{"data_offsets":[5,9],"shape":[],"dtype":"F32"},
          "empty":{"dtype":"BF16","shape":[3,0,2],"data_offsets":[5,5]},
          "first":{"dtype":"U8","shape":[1,1,1,5,1,1,1,1],"data_offsets":[0,5]}})",
      9);
  ASSERT_EQ(header.tensors.size(), 3u);
  EXPECT_EQ(header.tensors[0].name, "first");
  EXPECT_EQ(header.tensors[0].shape.rank(), 8);
  EXPECT_EQ(header.tensors[1].name, "empty");
  EXPECT_EQ(header.tensors[1].size_bytes, 0u);
  EXPECT_EQ(header.tensors[2].name, "last");
  EXPECT_EQ(header.tensors[2].shape, Shape{});
  EXPECT_EQ(header.tensors[2].offset_bytes, header.tensors[0].offset_bytes + 5);
}

TEST(SafetensorsHeader, ReadsEveryDtype) {
  struct Named {
    const char* name;
    std::uint64_t bits;
    std::optional<DType> dtype = {};
  };
  const Named all[] = {{"BOOL", 8},
                       {"F4", 4},
                       {"F6_E2M3", 6},
                       {"F6_E3M2", 6},
                       {"U8", 8, DType::u8},
                       {"I8", 8},
                       {"F8_E5M2", 8},
                       {"F8_E4M3", 8},
                       {"F8_E8M0", 8},
                       {"F8_E4M3FNUZ", 8},
                       {"F8_E5M2FNUZ", 8},
                       {"I16", 16},
                       {"U16", 16},
                       {"F16", 16, DType::f16},
                       {"BF16", 16, DType::bf16},
                       {"I32", 32, DType::i32},
                       {"U32", 32, DType::u32},
                       {"F32", 32, DType::f32},
                       {"C64", 64},
                       {"F64", 64},
                       {"I64", 64, DType::i64},
                       {"U64", 64}};
  for (const Named& type : all) {
    SCOPED_TRACE(type.name);
    const std::uint64_t size = type.bits;  // eight elements of type.bits bits have this many bytes
    const std::string header = "{\"a\":{\"dtype\":\"" + std::string(type.name) +
                               "\",\"shape\":[2,4],\"data_offsets\":[0," + std::to_string(size) +
                               "]}}";
    const TensorInfo tensor = parse(header, size).tensors.at(0);
    EXPECT_EQ(tensor.dtype.name(), type.name);
    EXPECT_EQ(tensor.dtype.dtype(), type.dtype);
    EXPECT_EQ(describe(tensor), std::string(type.name) + " [2, 4]");
  }
}

TEST(SafetensorsHeader, ReadsShapesOfAnyRank) {
  std::string dims = "2";
  for (int i = 0; i < 63; ++i) dims += ",1";
  const auto tensor =
      parse("{\"a\":{\"dtype\":\"U8\",\"shape\":[" + dims + "],\"data_offsets\":[0,2]}}", 2)
          .tensors.at(0);
  EXPECT_EQ(tensor.shape.rank(), 64);
  EXPECT_EQ(tensor.shape.elements(), 2);
}

TEST(SafetensorsHeader, CutsLongNamesInMessages) {
  const std::string name(100'000, 'n');
  expect_error([&] { parse("{\"" + name + "\":1}", 0); }, ErrorKind::format,
               "m.safetensors: ", "nnn...");
}

TEST(Safetensors, ReadsUnalignedData) {
  TemporaryFolder folder;
  const std::string header = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})";
  const float values[] = {1.5f, -2.0f};
  std::string data = "x";
  data.append(reinterpret_cast<const char*>(values), sizeof(values));
  const auto path = folder.write("m.safetensors", safetensors_bytes(header, data));
  const Checkpoint checkpoint = Checkpoint::open(path);
  ASSERT_NE(checkpoint.find("b"), nullptr);
  EXPECT_EQ(checkpoint.find("b")->offset_bytes, 8 + header.size() + 1);
  EXPECT_EQ(bytes_of(checkpoint, "b"), data.substr(1));
  EXPECT_EQ(bytes_of(checkpoint, "a"), "x");
  EXPECT_EQ(checkpoint.find("c"), nullptr);
  EXPECT_EQ(checkpoint.size_bytes(), std::filesystem::file_size(path));
  std::byte small[3];
  expect_error([&] { checkpoint.read(*checkpoint.find("b"), small); }, ErrorKind::invalid_argument,
               "[checkpoint] read: ", "8 bytes of \"b\", got 3");
}

TEST(Safetensors, ReadsBeyondFourGibibytes) {
  TemporaryFolder folder;
  // The data is a hole in a sparse file and takes no disk space.
  constexpr std::uint64_t kSize = std::uint64_t{40} << 30;
  const std::string end = std::to_string(kSize);
  const std::string header = R"({"far":{"dtype":"U8","shape":[4],"data_offsets":[)" + end + "," +
                             std::to_string(kSize + 4) + R"(]},"hole":{"dtype":"F32","shape":[)" +
                             std::to_string(kSize / 4) + R"(],"data_offsets":[0,)" + end + "]}}";
  const auto path = folder.write("m.safetensors", length_bytes(header.size()) + header);
  std::error_code error;
  std::filesystem::resize_file(path, 8 + header.size() + kSize, error);
  if (error) GTEST_SKIP() << "this file system has no large sparse files: " << error.message();
  std::ofstream(path, std::ios::binary | std::ios::app) << "tail";

  const LargestAllocation largest;
  const Checkpoint checkpoint = Checkpoint::open(path);
  EXPECT_EQ(bytes_of(checkpoint, "far"), "tail");
  EXPECT_EQ(checkpoint.find("hole")->shape.elements(), static_cast<std::int64_t>(kSize / 4));
  EXPECT_LT(largest.size_bytes(), std::size_t{1} << 20);
}

TEST(Safetensors, DoesNotAllocateMemoryForFalseSizes) {
  TemporaryFolder folder;
  const auto long_header = folder.write("a.safetensors", length_bytes(std::uint64_t{1} << 62));
  const auto missing_header = folder.write("b.safetensors", length_bytes(99'999'999) + "{}");
  const auto large_shape = folder.write(
      "c.safetensors",
      safetensors_bytes(
          R"({"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}})", ""));
  const LargestAllocation largest;
  expect_error([&] { Checkpoint::open(long_header); }, ErrorKind::format, long_header.string(),
               "not a safetensors file: expected a header length of at most 100000000 at byte 0, "
               "got 4611686018427387904");
  expect_error([&] { Checkpoint::open(missing_header); }, ErrorKind::format,
               missing_header.string(),
               "expected at least 100000007 bytes (a header of 99999999), found 10: the download "
               "looks incomplete");
  expect_error([&] { Checkpoint::open(large_shape); }, ErrorKind::format, large_shape.string(),
               "the download looks incomplete");
  EXPECT_LT(largest.size_bytes(), std::size_t{1} << 20);
}

TEST(SafetensorsWriter, WritesFilesThatTheReaderReads) {
  TemporaryFolder folder;
  const auto path = folder / "m.safetensors";
  const std::string data = "0123456789abcdefghij";
  {
    SafetensorsWriter writer(path,
                             {{"w \"quoted\"\n", DType::f32, Shape{2, 2}},
                              {"none", DType::i64, Shape{0}},
                              {"b", DType::f16, Shape{2}}},
                             {{"format", "bit-axon"}, {"ä", "\n"}});
    EXPECT_FALSE(std::filesystem::exists(path)) << "the file exists before commit()";
    for (std::size_t begin = 0; begin < data.size(); begin += 3)
      writer.write(std::as_bytes(std::span(data))
                       .subspan(begin)
                       .first(std::min<std::size_t>(3, data.size() - begin)));
    writer.commit();
  }
  const Checkpoint checkpoint = Checkpoint::open(path);
  ASSERT_EQ(checkpoint.tensors().size(), 3u);
  EXPECT_EQ(bytes_of(checkpoint, "w \"quoted\"\n"), data.substr(0, 16));
  EXPECT_EQ(bytes_of(checkpoint, "none"), "");
  EXPECT_EQ(bytes_of(checkpoint, "b"), data.substr(16));
  EXPECT_EQ(checkpoint.find("w \"quoted\"\n")->shape, (Shape{2, 2}));
  EXPECT_EQ(checkpoint.find("w \"quoted\"\n")->offset_bytes % 8, 0u);
  EXPECT_EQ(checkpoint.metadata().at("format"), "bit-axon");
  EXPECT_EQ(checkpoint.metadata().at("ä"), "\n");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(SafetensorsWriter, WritesAHeaderWithoutNeedlessSpace) {
  TemporaryFolder folder;
  const auto path = folder / "m.safetensors";
  SafetensorsWriter writer(path, {{"a", DType::u8, Shape{3}}});
  writer.write(std::as_bytes(std::span("xyz", 3)));
  writer.commit();
  EXPECT_EQ(
      read_whole_file(path, 1000),
      safetensors_bytes(R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}   )", "xyz"));
}

TEST(SafetensorsWriter, LeavesNoFileWithoutCommit) {
  TemporaryFolder folder;
  const auto path = folder.write("m.safetensors", "what was there before");
  {
    SafetensorsWriter writer(path, {{"a", DType::u8, Shape{3}}});
    writer.write(std::as_bytes(std::span("xy", 2)));
    expect_error([&] { writer.commit(); }, ErrorKind::invalid_argument, "[safetensors] commit",
                 "1 are missing");
    expect_error([&] { writer.write(std::as_bytes(std::span("zz", 2))); },
                 ErrorKind::invalid_argument, "[safetensors] write", "at most 1 bytes more, got 2");
  }
  EXPECT_EQ(read_whole_file(path, 1000), "what was there before");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(SafetensorsWriter, RefusesInvalidNamesAndShapes) {
  TemporaryFolder folder;
  const auto write = [&](std::vector<SafetensorsWriter::Spec> specs) {
    return [&folder, specs] { SafetensorsWriter(folder / "m.safetensors", specs); };
  };
  constexpr auto kInvalid = ErrorKind::invalid_argument;
  expect_error(write({{"a", DType::u8, Shape{1}}, {"a", DType::u8, Shape{1}}}), kInvalid,
               "[safetensors] name", "\"a\" twice");
  expect_error(write({{"__metadata__", DType::u8, Shape{1}}}), kInvalid, "[safetensors] name",
               "__metadata__");
  expect_error(write({{"\xff", DType::u8, Shape{1}}}), kInvalid, "[safetensors] names", "UTF-8");
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  expect_error(write({{"a", DType::u8, Shape{kHuge}}, {"b", DType::u8, Shape{kHuge}}}), kInvalid,
               "[safetensors] shape", "2^63 - 1 bytes in all");
  expect_error(write({{"a", DType::i64, Shape{kHuge}}}), kInvalid, "[safetensors] shape", "\"a\"");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace bitaxon
