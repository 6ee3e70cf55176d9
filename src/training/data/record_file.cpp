#include "training/data/record_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <span>

#include "bitaxon/error.h"
#include "formats/pointer_file.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

constexpr std::uint64_t kMaxRecordBytes = std::uint64_t{64} << 20;
constexpr std::size_t kBlockBytes = std::size_t{1} << 20;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// Calls visit(offset, block) for the blocks of a file from `begin` on, in order, until it returns
/// false.
template <class Visit>
void for_each_block(const File& file, std::uint64_t begin, const Visit& visit) {
  std::string block;
  for (std::uint64_t at = begin; at < file.size_bytes(); at += block.size()) {
    block.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(kBlockBytes, file.size_bytes() - at)));
    file.read_at(at, std::as_writable_bytes(std::span(block)));
    file.read_ahead(at + block.size(), kBlockBytes);
    if (!visit(at, std::string_view(block))) return;
  }
}

/// The first byte from `begin` on that is not blank. 0 if there is none.
char first_byte(const File& file, std::uint64_t begin) {
  char first = 0;
  for_each_block(file, begin, [&](std::uint64_t, std::string_view block) {
    const auto found = std::ranges::find_if_not(block, is_blank);
    if (first == 0 && found != block.end()) first = *found;
    return first == 0;
  });
  return first;
}

/// The first bytes of a file.
std::string head_of(const File& file, std::size_t n) {
  std::string head(static_cast<std::size_t>(std::min<std::uint64_t>(n, file.size_bytes())), '\0');
  file.read_at(0, std::as_writable_bytes(std::span(head)));
  return head;
}

}  // namespace

/// Finds the lines that are not blank.
class RecordFile::LineFinder {
 public:
  LineFinder(RecordFile& file, std::uint64_t begin) : file_(file), begin_(begin) {}

  void take(std::uint64_t offset, std::string_view block) {
    for (std::size_t at = 0; at < block.size();) {
      const std::size_t end = block.find('\n', at);
      const std::string_view part = block.substr(at, end - at);
      is_blank_ = is_blank_ && std::ranges::all_of(part, is_blank);
      if (end == block.npos) return;
      end_line(offset + end);
      at = end + 1;
    }
  }
  void finish(std::uint64_t end) { end_line(end); }

 private:
  void end_line(std::uint64_t end) {
    if (!is_blank_) file_.add(begin_, end, line_);
    is_blank_ = true;
    begin_ = end + 1;
    ++line_;
  }

  RecordFile& file_;
  std::uint64_t begin_, line_ = 1;
  bool is_blank_ = true;
};

/// Finds the entries of an array. Looks at brackets, commas and strings only: whoever parses an
/// entry finds the other faults.
class RecordFile::EntryFinder {
 public:
  explicit EntryFinder(RecordFile& file) : file_(file) {}

  void take(std::uint64_t offset, std::string_view block) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      if (where_ == Where::entry)
        take_inside(offset + i, block[i]);
      else if (!is_blank(block[i]))
        take_between(offset + i, block[i]);
      if (block[i] == '\n') ++line_;
    }
  }
  void finish() const {
    if (where_ != Where::behind) fail("expected the ] of the array, got the end of the file");
  }

 private:
  enum class Where : std::uint8_t { before, first, entry, after_comma, behind };

  [[noreturn]] void fail(std::string_view what) const {
    throw Error(ErrorKind::format,
                fmt::format("{}:{}: {}", printable_path(file_.name()), line_, what));
  }

  void take_between(std::uint64_t at, char c) {
    if (where_ == Where::behind) fail("expected nothing after the array, got more");
    if (where_ == Where::before) {
      where_ = Where::first;  // the caller has seen the [
    } else if (c == ']' && where_ == Where::first) {
      where_ = Where::behind;
    } else if (c == ',' || c == ']') {
      fail(fmt::format("expected an entry of the array, got {}", c));
    } else {
      begin_ = at;
      begin_line_ = line_;
      where_ = Where::entry;
      take_inside(at, c);
    }
  }

  void take_inside(std::uint64_t at, char c) {
    if (in_string_) {
      if (c == '"' && !escaped_) in_string_ = false;
      escaped_ = c == '\\' && !escaped_;
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if ((c == '}' || c == ']') && depth_ > 0) {
      --depth_;
    } else if ((c == ',' || c == ']') && depth_ == 0) {
      file_.add(begin_, at, begin_line_);
      where_ = c == ',' ? Where::after_comma : Where::behind;
    }
  }

  RecordFile& file_;
  Where where_ = Where::before;
  std::uint64_t line_ = 1, begin_line_ = 1, begin_ = 0;
  std::uint64_t depth_ = 0;  ///< open brackets of the entry
  bool in_string_ = false, escaped_ = false;
};

RecordFile RecordFile::open(const std::filesystem::path& path) {
  RecordFile out(File::open(path));
  const std::string head = head_of(out.file_, 4096);
  if (head.empty())
    throw Error(ErrorKind::format,
                fmt::format("{}: expected at least one example, got an empty file",
                            printable_path(out.name())));
  refuse_pointer_or_empty(head, path);
  if (head.starts_with("PAR1"))
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: expected JSON or JSONL, got Parquet, which the Python package "
                            "reads: python -m bit_axon prepare",
                            printable_path(out.name())));
  if (head.starts_with("\x1f\x8b") || head.starts_with("\x28\xb5\x2f\xfd"))
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: expected JSON or JSONL, got a compressed file; unpack it first",
                            printable_path(out.name())));
  const std::uint64_t begin = head.size() - without_byte_order_mark(head).size();
  out.is_array_ = first_byte(out.file_, begin) == '[';
  const auto find = [&](auto& finder) {
    for_each_block(out.file_, begin, [&](std::uint64_t offset, std::string_view block) {
      finder.take(offset, block);
      return true;
    });
  };
  if (out.is_array_) {
    EntryFinder finder(out);
    find(finder);
    finder.finish();
  } else {
    LineFinder finder(out, begin);
    find(finder);
    finder.finish(out.size_bytes());
  }
  return out;
}

void RecordFile::add(std::uint64_t begin, std::uint64_t end, std::uint64_t line) {
  constexpr std::uint64_t kMaxLines = std::numeric_limits<std::uint32_t>::max();
  if (line > kMaxLines)
    throw Error(ErrorKind::format, fmt::format("{}: expected at most {} lines, got more",
                                               printable_path(name()), kMaxLines));
  records_.push_back({begin, 0, static_cast<std::uint32_t>(line)});
  if (end - begin > kMaxRecordBytes)
    throw Error(ErrorKind::format, fmt::format("{}: expected at most {} bytes, got {}",
                                               place(size() - 1), kMaxRecordBytes, end - begin));
  records_.back().length = static_cast<std::uint32_t>(end - begin);
}

std::string RecordFile::text(std::size_t index) const {
  const Record& record = records_.at(index);
  std::string text(record.length, '\0');
  file_.read_at(record.offset, std::as_writable_bytes(std::span(text)));
  return text;
}

Json RecordFile::json(std::size_t index) const { return parse_json(text(index), place(index)); }

std::string RecordFile::place(std::size_t index) const {
  const std::string line = fmt::format("{}:{}", printable_path(name()), records_.at(index).line);
  return is_array_ ? fmt::format("{} (entry {})", line, index + 1) : line;
}

}  // namespace bitaxon
