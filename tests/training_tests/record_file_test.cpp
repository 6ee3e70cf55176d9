// Finding the objects of a file of training data.
#include "training/data/record_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/errors.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

/// The objects of a file with this content, as "LINE: TEXT".
std::vector<std::string> objects_of(const std::string& content) {
  const TemporaryFolder folder;
  const RecordFile file = RecordFile::open(folder.write("a.json", content));
  std::vector<std::string> objects;
  for (std::size_t i = 0; i < file.size(); ++i) {
    const std::string place = file.place(i);
    objects.push_back(place.substr(place.find("a.json") + 7) + ": " + file.json(i).dump());
  }
  return objects;
}

using Objects = std::vector<std::string>;

TEST(RecordFile, FindsTheLinesThatAreNotBlank) {
  EXPECT_EQ(objects_of("{\"a\":1}\n\n  \n{\"a\":2}\n{\"a\":3}"),
            (Objects{"1: {\"a\":1}", "4: {\"a\":2}", "5: {\"a\":3}"}));
}

TEST(RecordFile, SkipsAByteOrderMarkAndLineEndsOfWindows) {
  EXPECT_EQ(objects_of("\xef\xbb\xbf{\"a\":1}\r\n\r\n{\"a\":2}\r\n"),
            (Objects{"1: {\"a\":1}", "3: {\"a\":2}"}));
}

TEST(RecordFile, HasNoObjectsIfAllLinesAreBlank) {
  EXPECT_EQ(objects_of("\n \r\n\t\n"), Objects{});
}

TEST(RecordFile, FindsTheEntriesOfAnArray) {
  EXPECT_EQ(
      objects_of("\xef\xbb\xbf\n [{\"a\": \"x]},\\\"{\"},\n  {\"b\": [1, {\"c\": \"\\\\\"}]}\n,"
                 "3 ]\n"),
      (Objects{"2 (entry 1): {\"a\":\"x]},\\\"{\"}", "3 (entry 2): {\"b\":[1,{\"c\":\"\\\\\"}]}",
               "4 (entry 3): 3"}));
  EXPECT_EQ(objects_of("[ ]"), Objects{});
}

TEST(RecordFile, FindsObjectsThatCrossBlocks) {
  const std::string text(std::size_t{3} << 20, 'x');
  const std::string line = "{\"a\":\"" + text + "\"}";
  EXPECT_EQ(objects_of(line + "\n" + line), (Objects{"1: " + line, "2: " + line}));
  EXPECT_EQ(objects_of("[" + line + "," + line + "]"),
            (Objects{"1 (entry 1): " + line, "1 (entry 2): " + line}));
}

void expect_refused(const std::string& content, std::string_view fragment) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.write("a.json", content);
  const auto read = [&] {
    const RecordFile file = RecordFile::open(path);
    for (std::size_t i = 0; i < file.size(); ++i) file.json(i);
  };
  expect_error(read, ErrorKind::format, {"a.json:", fragment});
}

TEST(RecordFile, RefusesBrokenArrays) {
  expect_refused("[{}", "a.json:1: expected the ] of the array, got the end of the file");
  expect_refused("[{},\n]", "a.json:2: expected an entry of the array, got ]");
  expect_refused("[,{}]", "a.json:1: expected an entry of the array, got ,");
  expect_refused("[{}]\n\nx", "a.json:3: expected nothing after the array, got more");
  expect_refused("[{} {}]", "a.json:1 (entry 1): at byte 3: not JSON");
  expect_refused("[{\"a\": \"]", "got the end of the file");
  expect_refused("[}]", "a.json:1 (entry 1): at byte 0: not JSON");
}

TEST(RecordFile, NamesTheLineOfBrokenJson) {
  expect_refused("{}\n{}\n{\"a\": }\n{}\n", "a.json:3: at byte 6: not JSON");
  expect_refused("{}\n{\"a\": 1, \"a\": 2}\n", "a.json:2: at byte 11: key \"a\" appears twice");
  expect_refused("{\"a\": \"\xff\"}", "a.json:1: at byte");
  expect_refused("\xff\xfe{\0}\0", "a.json:1: at byte 0: expected JSON in UTF-8, got UTF-16");
}

TEST(RecordFile, RefusesFilesOfOtherKinds) {
  expect_refused("", "empty");
  expect_refused("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "LFS");
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.write("a.parquet", "PAR1....PAR1");
  expect_error([&] { RecordFile::open(path); }, ErrorKind::unsupported,
               {"a.parquet: expected JSON or JSONL, got Parquet", "Python"});
  const std::filesystem::path packed = folder.write("a.jsonl.gz", "\x1f\x8b\x08");
  expect_error([&] { RecordFile::open(packed); }, ErrorKind::unsupported,
               {"a.jsonl.gz: expected JSON or JSONL, got a compressed file"});
}

TEST(RecordFile, ReportsAFileThatWasCut) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.write("a.jsonl", "{}\n{}\n");
  const RecordFile file = RecordFile::open(path);
  std::filesystem::resize_file(path, 2);
  expect_error([&] { file.text(1); }, ErrorKind::io, {"a.jsonl"});
}

}  // namespace
}  // namespace bitaxon::test
