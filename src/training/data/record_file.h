// A file of JSON objects: one object in each line, or one array of objects.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "formats/json.h"
#include "platform/file.h"

namespace bitaxon {

/// The places of the objects of a file. The objects stay in the file.
class RecordFile {
 public:
  /// Reads the file once and finds its objects. A byte-order mark, line ends of Windows and empty
  /// lines are skipped. Does not check the objects themselves. Throws Error(io), Error(format) for a
  /// broken array and for an object of more than 64 MiB, and Error(unsupported) for Parquet.
  static RecordFile open(const std::filesystem::path& path);

  const std::string& name() const { return file_.name(); }
  std::uint64_t size_bytes() const { return file_.size_bytes(); }
  /// The number of objects.
  std::size_t size() const { return records_.size(); }
  /// The text of an object. Throws Error(io).
  std::string text(std::size_t index) const;
  /// The object, parsed. Throws Error(io, format); the message begins with its place.
  Json json(std::size_t index) const;
  /// File and line, such as "train.jsonl:12" or "train.json:1 (entry 12)".
  std::string place(std::size_t index) const;

 private:
  class LineFinder;
  class EntryFinder;
  struct Record {
    std::uint64_t offset;
    std::uint32_t length;  ///< bytes
    std::uint32_t line;    ///< counted from 1
  };

  explicit RecordFile(File file) : file_(std::move(file)) {}
  void add(std::uint64_t begin, std::uint64_t end, std::uint64_t line);

  File file_;
  std::vector<Record> records_;
  bool is_array_ = false;
};

}  // namespace bitaxon
