#include "model/model_writer.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <set>

#include "bitaxon/error.h"
#include "core/half.h"
#include "formats/stored_weight.h"
#include "platform/file.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCopyBytes = std::size_t{8} << 20;

/// What a model's folder may hold beside weights and configuration.
constexpr const char* kTokenizerFiles[] = {"tokenizer.json",
                                           "tokenizer.model",
                                           "tokenizer_config.json",
                                           "special_tokens_map.json",
                                           "added_tokens.json",
                                           "vocab.json",
                                           "merges.txt",
                                           "generation_config.json"};

void copy_whole_file(const fs::path& from, const fs::path& to) {
  const File file = File::open(from);
  AtomicFile copy(to);
  std::vector<std::byte> piece;
  for (std::uint64_t at = 0; at < file.size_bytes(); at += piece.size()) {
    piece.resize(
        static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBytes, file.size_bytes() - at)));
    file.read_at(at, piece);
    copy.write(piece);
  }
  copy.commit();
}

void copy_tokenizer(const fs::path& from, const fs::path& to) {
  std::error_code ignored;
  for (const char* name : kTokenizerFiles)
    if (fs::is_regular_file(from / name, ignored)) copy_whole_file(from / name, to / name);
  const fs::path folder = from / "tokenizer";
  if (!fs::is_directory(folder, ignored)) return;
  fs::create_directory(to / "tokenizer", ignored);
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (entry.is_regular_file(ignored))
      copy_whole_file(entry.path(), to / "tokenizer" / entry.path().filename());
}

bool is_same_form(const WeightDesc& a, const WeightDesc& b) {
  return a.format == b.format && a.dtype == b.dtype && a.group_size == b.group_size &&
         a.nested == b.nested;
}

/// Elements of a weight as floats, whatever it is stored as.
ReadElements elements_of(const Checkpoint& checkpoint, const WeightSource& source,
                         LoadedWeight& staging) {
  if (source.desc.format == WeightFormat::dense) return dense_reader(checkpoint, source);
  read_weight(checkpoint, source, staging);
  return [&source, &staging](std::int64_t first, std::span<float> out) {
    decode(source.desc, staging.parts, first, out);
  };
}

void encode(DType dtype, std::span<const float> values, std::vector<std::byte>& bytes) {
  bytes.resize(values.size() * size_of(dtype));
  if (dtype == DType::f32) {
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t half = dtype == DType::f16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
    std::memcpy(bytes.data() + 2 * i, &half, sizeof(half));
  }
}

/// Calls visit(first, floats) for a weight, piece by piece.
template <class Visit>
void for_each_piece(const WeightDesc& desc, const ReadElements& read, const Visit& visit) {
  std::vector<float> piece(static_cast<std::size_t>(rows_of_piece(desc) * desc.cols));
  for (std::int64_t first = 0; first < desc.elements(); first += std::ssize(piece)) {
    piece.resize(std::min(piece.size(), static_cast<std::size_t>(desc.elements() - first)));
    read(first, piece);
    visit(first, std::span<const float>(piece));
  }
}

class Writer {
 public:
  Writer(const ModelWrite& write, StoredWeightWriter& out) : write_(write), out_(out) {}

  PartReport weight(std::size_t index) {
    const WeightEdit& edit = write_.edits[index];
    const WeightDesc& from = edit.from.source.desc;
    PartReport report;
    report.parameters = from.elements();
    report.bytes_before = from.stored_bytes();
    report.bytes_after = edit.to.stored_bytes();
    if (!edit.change && is_same_form(from, edit.to))
      copy(index, edit);
    else
      transform(index, edit, report);
    write_.checkpoint.forget(*edit.from.source.data);
    return report;
  }

  void other(std::size_t index, const TensorInfo& tensor) {
    for_each_run(tensor, [&](std::uint64_t at, std::span<const std::byte> bytes) {
      out_.write_other(index, at, bytes);
    });
  }

 private:
  template <class Visit>
  void for_each_run(const TensorInfo& tensor, const Visit& visit) {
    for (std::uint64_t at = 0; at < tensor.size_bytes; at += bytes_.size()) {
      bytes_.resize(
          static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBytes, tensor.size_bytes - at)));
      write_.checkpoint.read_part(tensor, at, bytes_);
      visit(at, std::span<const std::byte>(bytes_));
    }
  }

  void copy(std::size_t index, const WeightEdit& edit) {
    const WeightSource& source = edit.from.source;
    if (source.desc.format == WeightFormat::dense) {
      for_each_run(*source.data, [&](std::uint64_t at, std::span<const std::byte> bytes) {
        out_.write_dense(index, at, bytes);
      });
      return;
    }
    read_weight(write_.checkpoint, source, stored_);
    out_.write(index, source.desc, stored_.parts);
  }

  void transform(std::size_t index, const WeightEdit& edit, PartReport& report) {
    const ReadElements stored = elements_of(write_.checkpoint, edit.from.source, stored_);
    const std::int64_t cols = edit.to.cols;
    const ReadElements read = [&](std::int64_t first, std::span<float> out) {
      stored(first, out);
      if (edit.change) edit.change(first / cols, out);
    };
    WeightDesc dense = edit.to;
    dense.format = WeightFormat::dense;
    if (!edit.how) {
      for_each_piece(dense, read, [&](std::int64_t first, std::span<const float> floats) {
        encode(dense.dtype, floats, bytes_);
        out_.write_dense(index, static_cast<std::uint64_t>(first) * size_of(dense.dtype), bytes_);
      });
      return;
    }
    const WeightDesc desc = quantize(dense, *edit.how, read, coded_);
    out_.write(index, desc, coded_.parts);
    for_each_piece(dense, read, [&](std::int64_t first, std::span<const float> floats) {
      decoded_.resize(floats.size());
      decode(desc, coded_.parts, first, decoded_);
      for (std::size_t i = 0; i < floats.size(); ++i) {
        const double error = double{floats[i]} - double{decoded_[i]};
        report.error_squares += error * error;
        report.squares += double{floats[i]} * double{floats[i]};
      }
    });
  }

  const ModelWrite& write_;
  StoredWeightWriter& out_;
  LoadedWeight stored_, coded_;
  std::vector<std::byte> bytes_;
  std::vector<float> decoded_;
};

/// Tensors of the checkpoint that belong to no weight of the model.
std::vector<const TensorInfo*> others_of(const ModelWrite& write) {
  std::set<const TensorInfo*> known;
  for (const WeightEdit& edit : write.edits) {
    const WeightSource& source = edit.from.source;
    known.insert({source.data, source.scales, source.biases, source.quant_map, source.nested_scales,
                  source.nested_quant_map, source.quant_state});
  }
  std::vector<const TensorInfo*> others;
  for (const TensorInfo& tensor : write.checkpoint.tensors())
    if (!known.contains(&tensor)) others.push_back(&tensor);
  return others;
}

void refuse_a_full_disk(const fs::path& folder, std::uint64_t needed_bytes) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  if (error || space.available >= needed_bytes) return;
  throw Error(ErrorKind::io,
              fmt::format("{}: expected room for {} bytes, got {} on this disk",
                          printable_path(folder.string()), needed_bytes, space.available));
}

}  // namespace

PartReport& PartReport::operator+=(const PartReport& other) {
  parameters += other.parameters;
  bytes_before += other.bytes_before;
  bytes_after += other.bytes_after;
  error_squares += other.error_squares;
  squares += other.squares;
  return *this;
}

double PartReport::relative_error() const {
  return error_squares == 0 ? 0 : std::sqrt(error_squares / squares);
}

std::optional<std::map<std::string, PartReport>> write_model(const ModelWrite& write,
                                                             const fs::path& output,
                                                             const LoadProgress& on_progress,
                                                             const std::atomic<bool>& interrupted) {
  AtomicFolder folder(output);
  std::vector<StoredWeight> weights;
  std::uint64_t total_bytes = 0, needed_bytes = 0;
  for (const WeightEdit& edit : write.edits) {
    weights.push_back({.name = edit.from.slot.name,
                       .shape = edit.from.slot.shape,
                       .is_stack = edit.from.slot.chosen_of > 0,
                       .desc = edit.to,
                       .from = edit.to.dtype});
    total_bytes += edit.from.source.desc.stored_bytes();
    needed_bytes += edit.to.stored_bytes();
  }
  const std::vector<const TensorInfo*> others = others_of(write);
  std::vector<SafetensorsWriter::Spec> other_specs;
  for (const TensorInfo* tensor : others) {
    other_specs.push_back({tensor->name, tensor->dtype, tensor->shape});
    needed_bytes += tensor->size_bytes;
  }
  refuse_a_full_disk(folder.temporary(), needed_bytes);
  StoredWeightWriter out(folder.temporary() / "model.safetensors", weights, std::move(other_specs),
                         write.checkpoint.metadata());
  Writer writer(write, out);
  std::map<std::string, PartReport> parts;
  std::uint64_t done_bytes = 0;
  for (std::size_t i = 0; i < write.edits.size(); ++i) {
    if (interrupted) return std::nullopt;
    const PartReport report = writer.weight(i);
    parts[std::string(part_of(write.edits[i].from.slot.name))] += report;
    if (on_progress) on_progress(done_bytes += report.bytes_before, total_bytes);
  }
  for (std::size_t i = 0; i < others.size(); ++i) writer.other(i, *others[i]);
  out.commit();
  AtomicFile config(folder.temporary() / "config.json");
  config.write(write.config.to_json());
  config.commit();
  copy_tokenizer(write.files.folder, folder.temporary());
  if (interrupted) return std::nullopt;
  folder.commit();
  return parts;
}

}  // namespace bitaxon
