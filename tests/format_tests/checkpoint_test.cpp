// Tests of the files of a model: a single file, a folder, shards with an index, and files that
// users pass by mistake.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "format_tests/safetensors_bytes.h"
#include "formats/safetensors.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

namespace bitaxon {
namespace {

using test::expect_error;
using test::TemporaryFolder;

/// The bytes of a safetensors file with a U8 [1] tensor for each name in `tensors`.
std::string file_with(const std::vector<std::string>& tensors, std::string_view metadata = "null") {
  std::string header = "{\"__metadata__\":" + std::string(metadata);
  std::string data;
  for (const std::string& name : tensors) {
    header += ",\"" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[)" +
              std::to_string(data.size()) + "," + std::to_string(data.size() + 1) + "]}";
    data += 'x';
  }
  return safetensors_bytes(header + "}", data);
}

std::string names_of(const Checkpoint& checkpoint) {
  std::string names;
  for (const TensorInfo& tensor : checkpoint.tensors()) names += tensor.name + " ";
  return names;
}

constexpr const char* kIndex = "model.safetensors.index.json";

/// Expects that the checkpoint has exactly one warning, and that the warning contains every
/// fragment.
void expect_warning(const Checkpoint& checkpoint,
                    std::initializer_list<std::string_view> fragments) {
  ASSERT_EQ(checkpoint.warnings().size(), 1U);
  for (const std::string_view fragment : fragments)
    EXPECT_NE(checkpoint.warnings()[0].find(fragment), std::string::npos)
        << checkpoint.warnings()[0] << "\nshould hold " << fragment;
}

TEST(Checkpoint, ReadsAFolderInTheOrderOfFileNames) {
  TemporaryFolder folder;
  folder.write("b.safetensors", file_with({"b1", "b0"}, R"({"k":"b","l":"b"})"));
  folder.write("a.safetensors", file_with({"a"}, R"({"k":"a"})"));
  folder.write("._a.safetensors", "what other systems leave");
  folder.write("c.safetensors.part", "a download in progress");
  folder.write("config.json", "{}");
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(names_of(checkpoint), "a b1 b0 ");
  EXPECT_EQ(checkpoint.metadata().at("k"), "a");
  EXPECT_EQ(checkpoint.metadata().at("l"), "b");
  EXPECT_EQ(checkpoint.file_name(*checkpoint.find("b0")), (folder / "b.safetensors").string());
}

TEST(Checkpoint, ReadsASingleFileOfAFolder) {
  TemporaryFolder folder;
  folder.write("a.safetensors", file_with({"a"}));
  folder.write("b.safetensors", file_with({"a"}));
  EXPECT_EQ(names_of(Checkpoint::open(folder / "b.safetensors")), "a ");
}

TEST(Checkpoint, ReadsTheShardsOfAnIndexAndNoOtherFile) {
  TemporaryFolder folder;
  folder.write("s1.safetensors", file_with({"a", "not.in.the.map"}));
  folder.write("s2.safetensors", file_with({"b"}));
  folder.write("other.safetensors", file_with({"a"}));
  folder.write(kIndex, R"({"metadata":{"total_size":3},
                          "weight_map":{"b":"s2.safetensors","a":"s1.safetensors"}})");
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(names_of(checkpoint), "a not.in.the.map b ");
}

TEST(Checkpoint, ReadsThroughLinks) {
  TemporaryFolder folder;
  std::filesystem::create_directory(folder / "blobs");
  folder.write("blobs/0123", file_with({"a"}));
  std::filesystem::create_directory(folder / "model");
  std::filesystem::create_symlink("../blobs/0123", folder / "model/model.safetensors");
  EXPECT_EQ(names_of(Checkpoint::open(folder / "model")), "a ");
}

TEST(Checkpoint, RefusesEveryBrokenIndex) {
  struct Broken {
    std::string_view index;
    ErrorKind kind;
    std::string_view fragment;
  };
  const Broken broken[] = {
      {"", ErrorKind::format, "0 bytes"},
      {" ", ErrorKind::format, "not JSON"},
      {"[]", ErrorKind::format, "expected an object with an object \"weight_map\""},
      {"{}", ErrorKind::format, "expected an object with an object \"weight_map\""},
      {R"({"weight_map":[]})", ErrorKind::format, "an object \"weight_map\""},
      {R"({"weight_map":{}})", ErrorKind::format, "weight_map: expected tensors, got none"},
      {R"({"weight_map":{"a":1}})", ErrorKind::format, "expected a file name for \"a\", got 1"},
      {R"({"weight_map":{"a":"s.safetensors","a":"s.safetensors"}})", ErrorKind::format,
       "appears twice"},
      {R"({"weight_map":{"a":""}})", ErrorKind::format, "expected a plain file name"},
      {R"({"weight_map":{"a":"."}})", ErrorKind::format, "expected a plain file name"},
      {R"({"weight_map":{"a":".."}})", ErrorKind::format, "expected a plain file name"},
      {R"({"weight_map":{"a":"../s.safetensors"}})", ErrorKind::format,
       "expected a plain file name for \"a\", got \"../s.safetensors\""},
      {R"({"weight_map":{"a":"/etc/passwd"}})", ErrorKind::format, "expected a plain file name"},
      {R"({"weight_map":{"a":"x\\s.safetensors"}})", ErrorKind::format,
       "expected a plain file name"},
      {R"({"weight_map":{"a":"s.safetensors\u0000"}})", ErrorKind::format,
       "expected a plain file name"},
      {R"({"weight_map":{"a":"gone.safetensors"}})", ErrorKind::io,
       "names the file \"gone.safetensors\", which is not there: the download looks incomplete"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", ErrorKind::format,
       "git lfs pull"},
  };
  TemporaryFolder folder;
  folder.write("s.safetensors", file_with({"a"}));
  folder.write("t.safetensors", file_with({"b"}));
  for (const Broken& b : broken) {
    SCOPED_TRACE(b.index);
    const auto index = folder.write(kIndex, b.index);
    expect_error([&] { Checkpoint::open(folder.path()); }, b.kind, index.string(), b.fragment);
  }
}

TEST(Checkpoint, AnIndexMayListTensorsThatAreNotInItsFiles) {
  TemporaryFolder folder;
  folder.write("s.safetensors", file_with({"a"}));
  folder.write("t.safetensors", file_with({"b"}));
  folder.write(kIndex, R"({"weight_map":{"a":"t.safetensors","b":"t.safetensors",
                                         "lm_head":"s.safetensors"}})");
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(names_of(checkpoint), "a b ");
  expect_warning(checkpoint, {kIndex, "2 of its 3 tensors are not in the file", "\"a\""});
  checkpoint.refuse_absent("lm_head");  // no error, because the file that the index names exists
}

TEST(Checkpoint, AMissingShardIsAnErrorOnlyIfATensorNeedsIt) {
  TemporaryFolder folder;
  folder.write("s.safetensors", file_with({"a"}));
  const auto index =
      folder.write(kIndex, R"({"weight_map":{"a":"s.safetensors","b":"t.safetensors"}})");
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(names_of(checkpoint), "a ");
  expect_warning(checkpoint, {kIndex, "1 of its 2 files is not there", "\"t.safetensors\""});
  checkpoint.refuse_absent("c");
  expect_error([&] { checkpoint.refuse_absent("b"); }, ErrorKind::io, index.string(),
               "names the file \"t.safetensors\" for tensor \"b\", which is not there: the "
               "download looks incomplete");
}

TEST(Checkpoint, NumbersInFileNamesShowAMissingShard) {
  TemporaryFolder folder;
  folder.write("model-00001-of-00003.safetensors", file_with({"a"}));
  folder.write("model-00003-of-00003.safetensors", file_with({"c"}));
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(names_of(checkpoint), "a c ");
  expect_warning(checkpoint, {"model-00002-of-00003.safetensors: this shard of the model"});
  expect_error([&] { checkpoint.refuse_absent("b"); }, ErrorKind::io,
               (folder / "model-00002-of-00003.safetensors").string(), "tensor \"b\"");
  folder.write("model-00002-of-00003.safetensors", file_with({"b"}));
  EXPECT_TRUE(Checkpoint::open(folder.path()).warnings().empty());
}

TEST(Checkpoint, ACompleteModelFileWinsOverAnIndexThatDoesNotNameIt) {
  TemporaryFolder folder;
  folder.write("model.safetensors", file_with({"a", "b"}));
  folder.write(kIndex, R"({"weight_map":{"a":"model-00001-of-00001.safetensors"}})");
  for (const bool has_shard : {false, true}) {
    if (has_shard) folder.write("model-00001-of-00001.safetensors", file_with({"a"}));
    const Checkpoint checkpoint = Checkpoint::open(folder.path());
    EXPECT_EQ(names_of(checkpoint), "a b ");
    EXPECT_EQ(checkpoint.file_name(*checkpoint.find("a")), (folder / "model.safetensors").string());
    expect_warning(checkpoint, {kIndex, "ignored", "model.safetensors"});
  }
  // If the index names the file, the file is treated as a shard.
  folder.write(kIndex, R"({"weight_map":{"a":"model.safetensors","b":"model.safetensors"}})");
  EXPECT_TRUE(Checkpoint::open(folder.path()).warnings().empty());
}

TEST(Checkpoint, TheIndexChoosesAmongDuplicateTensors) {
  TemporaryFolder folder;
  folder.write("s.safetensors", file_with({"a", "w"}));
  folder.write("t.safetensors", file_with({"w", "b"}));
  for (const char* file : {"s.safetensors", "t.safetensors"}) {
    folder.write(kIndex,
                 std::string(R"({"weight_map":{"a":"s.safetensors","b":"t.safetensors","w":")") +
                     file + "\"}}");
    const Checkpoint checkpoint = Checkpoint::open(folder.path());
    EXPECT_EQ(checkpoint.tensors().size(), 3U);
    EXPECT_EQ(checkpoint.file_name(*checkpoint.find("w")), (folder / file).string());
    expect_warning(checkpoint, {"1 tensor is in several files", "the index"});
  }
}

TEST(Checkpoint, ModelSafetensorsWinsAmongDuplicateTensors) {
  TemporaryFolder folder;
  folder.write("consolidated.safetensors", file_with({"w", "x"}));
  folder.write("model.safetensors", file_with({"w"}));
  const Checkpoint checkpoint = Checkpoint::open(folder.path());
  EXPECT_EQ(names_of(checkpoint), "x w ");
  EXPECT_EQ(checkpoint.file_name(*checkpoint.find("w")), (folder / "model.safetensors").string());
  expect_warning(checkpoint, {"1 tensor is in several files; model.safetensors is used"});
}

TEST(Checkpoint, RefusesATensorInTwoFiles) {
  TemporaryFolder folder;
  folder.write("a.safetensors", file_with({"w"}));
  folder.write("b.safetensors", file_with({"w"}));
  expect_error([&] { Checkpoint::open(folder.path()); }, ErrorKind::format,
               (folder / "b.safetensors").string(),
               "tensor \"w\" is also in " + (folder / "a.safetensors").string());
}

TEST(Checkpoint, RefusesFoldersWithoutAModel) {
  TemporaryFolder folder;
  expect_error([&] { Checkpoint::open(folder.path()); }, ErrorKind::io, folder.path().string(),
               "there is no *.safetensors in this folder");
  std::filesystem::create_directory(folder / "x.safetensors");
  expect_error([&] { Checkpoint::open(folder.path()); }, ErrorKind::io,
               (folder / "x.safetensors").string(), "got a directory");
}

TEST(Checkpoint, RefusesBrokenLinks) {
  TemporaryFolder folder;
  folder.write("a.safetensors", file_with({"w"}));
  std::filesystem::create_symlink("nowhere", folder / kIndex);
  expect_error([&] { Checkpoint::open(folder.path()); }, ErrorKind::io, (folder / kIndex).string(),
               "leads nowhere: its target is nowhere");
  std::filesystem::remove(folder / kIndex);
  std::filesystem::create_symlink("gone", folder / "b.safetensors");
  expect_error([&] { Checkpoint::open(folder.path()); }, ErrorKind::io,
               (folder / "b.safetensors").string(), "its target is gone");
  folder.write(kIndex, R"({"weight_map": {"w": "a.safetensors", "v": "b.safetensors"}})");
  expect_error([&] { Checkpoint::open(folder.path()); }, ErrorKind::io,
               (folder / "b.safetensors").string(), "its target is gone");
}

TEST(Checkpoint, RefusesPathsThatAreNotRegularFiles) {
  TemporaryFolder folder;
  expect_error([&] { Checkpoint::open(folder / "missing"); }, ErrorKind::io,
               (folder / "missing").string(), "No such file");
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_error([&] { Checkpoint::open(folder / "pipe"); }, ErrorKind::io,
               (folder / "pipe").string(), "got a pipe");
  expect_error([&] { Checkpoint::open("/dev/null"); }, ErrorKind::io, "/dev/null", "special file");
}

TEST(Checkpoint, RefusesFilesOfOtherFormats) {
  struct Other {
    std::string bytes;
    std::string_view fragment;
  };
  const std::string whole = file_with({"a", "b"});
  const Other others[] = {
      {"", "the file is empty (0 bytes)"},
      {"abc", "expected at least 8 bytes, got 3"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n",
       "this is a Git LFS pointer, not the file itself: fetch it with `git lfs pull`"},
      {"<!DOCTYPE html>\n<html><head>", "an HTML page"},
      {"\n  <html>", "an HTML page"},
      {"{\"error\": \"Repository not found\"}", "but perhaps JSON, which is not read"},
      {std::string("GGUF\3\0\0\0\1\1\1\1\1", 13),
       "not a safetensors file, but a GGUF file, which is not read; F32, F16, BF16, MLX"},
      {std::string("PK\3\4\0\0\10\10aaaa", 12), "zip archive"},
      {std::string("\x80\2\x8a\nl\xfc\x9c\x46\xf9\x20", 10), "a pickle, perhaps PyTorch's"},
      {std::string("\x93NUMPY\1\0v\0", 10), "a NumPy array"},
      {std::string("\x89HDF\r\n\x1a\n\0\0", 10), "an HDF5 file"},
      {std::string("\x1f\x8b\10\0abcd\0\3", 10), "a gzip archive"},
      {"just some text in a file", "the file begins with \"just some text i...\""},
      {std::string(200, '\0'), "begin with '{'"},
      {whole.substr(0, 20), "the download looks incomplete"},
      {whole.substr(0, whole.size() - 1), "the download looks incomplete"},
      {whole + "x", "found 1 bytes more"},
      {length_bytes(100'000'001) + "{", "header length of at most 100000000"},
      {length_bytes(~std::uint64_t{0}) + "{", "got 18446744073709551615"},
      {length_bytes(~std::uint64_t{0} - 7) + "{", "header length of at most 100000000"},
  };
  TemporaryFolder folder;
  for (const Other& other : others) {
    SCOPED_TRACE(other.bytes.substr(0, 40));
    const auto path = folder.write("m.safetensors", other.bytes);
    expect_error([&] { Checkpoint::open(path); }, ErrorKind::format, path.string(), other.fragment);
  }
}

TEST(Checkpoint, EscapesTheNamesOfFiles) {
  TemporaryFolder folder;
  const auto path = folder.write("evil\n\x1b[2J.safetensors", "abc");
  expect_error([&] { Checkpoint::open(path); }, ErrorKind::format, folder.path().string(),
               "evil\\u{a}\\u{1b}[2J.safetensors");
}

}  // namespace
}  // namespace bitaxon
