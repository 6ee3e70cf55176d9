#include "model/model_writer.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <set>

#include "bitaxon/error.h"
#include "bitaxon/memory.h"
#include "formats/json.h"
#include "formats/quantization_config.h"
#include "formats/stored_weight.h"
#include "model/weight_pieces.h"
#include "platform/file.h"
#include "platform/host_memory.h"
#include "platform/optional_file.h"
#include "platform/printable.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kCopyBytes = std::size_t{8} << 20;

/// The names of tokenizer files and chat files that the tools of the hub, mlx, SentencePiece,
/// tiktoken and Mistral write next to the weights.
constexpr const char* kTokenizerFiles[] = {"tokenizer.json",
                                           "tokenizer.model*",
                                           "tokenizer_config.json",
                                           "special_tokens_map.json",
                                           "added_tokens.json",
                                           "vocab.json",
                                           "vocab.txt",
                                           "merges.txt",
                                           "normalizer.json",
                                           "spiece.model",
                                           "sentencepiece*.model",
                                           "tekken.json",
                                           "tiktoken.model",
                                           "*.tiktoken",
                                           "tokenization_*.py",
                                           "chat_template.*",
                                           "processor_config.json",
                                           "generation_config.json"};
constexpr const char* kTokenizerFolders[] = {"tokenizer", "additional_chat_templates"};

template <std::size_t n>
bool matches(const char* const (&patterns)[n], const fs::path& name) {
  return std::ranges::any_of(
      patterns, [&](const char* pattern) { return ::fnmatch(pattern, name.c_str(), 0) == 0; });
}

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

/// The entries of a folder, including symbolic links that lead nowhere.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    entries.push_back(it->path());
  if (error) refuse_broken_link(folder);
  if (error)
    throw Error(ErrorKind::io, fmt::format("{}: cannot list the folder: {}",
                                           printable_path(folder.string()), error.message()));
  return entries;
}

void copy_folder(const fs::path& from, const fs::path& to) {
  fs::create_directory(to);
  for (const fs::path& entry : entries_of(from)) {
    if (fs::is_directory(fs::symlink_status(entry)))
      copy_folder(entry, to / entry.filename());
    else if (!fs::is_directory(entry))
      copy_whole_file(entry, to / entry.filename());
  }
}

bool is_same_form(const WeightDesc& a, const WeightDesc& b) {
  return a.format == b.format && a.dtype == b.dtype && a.group_size == b.group_size &&
         a.nested == b.nested && a.bits == b.bits && a.codebook == b.codebook;
}

/// Reads elements of a weight as floats, from any stored form.
ReadElements elements_of(const Checkpoint& checkpoint, const WeightSource& source,
                         LoadedWeight& staging) {
  if (source.desc.format == WeightFormat::dense) return dense_reader(checkpoint, source);
  return [desc = load_weight(checkpoint, source, staging), &staging](
             std::int64_t first, std::span<float> out) { decode(desc, staging.parts, first, out); };
}

bool is_copied(const WeightEdit& edit) {
  return !edit.change && is_same_form(edit.from.source.desc, edit.to);
}

/// The contents of the new file. `weights` are stored in a new form, and `copies` are copied byte
/// for byte. Both are in the order of the edits. Tensors that belong to no weight of the model come
/// last in `copies`.
struct Contents {
  std::vector<StoredWeight> weights;
  std::vector<const TensorInfo*> copies;
};

Contents contents_of(const ModelWrite& write) {
  Contents contents;
  std::set<const TensorInfo*> known;
  for (const WeightEdit& edit : write.edits) {
    const std::vector<const TensorInfo*> tensors = tensors_of(edit.from.source);
    known.insert(tensors.begin(), tensors.end());
    if (is_copied(edit)) {
      contents.copies.insert(contents.copies.end(), tensors.begin(), tensors.end());
    } else {
      contents.weights.push_back(stored_weight(edit.from));
      contents.weights.back().desc = edit.to;
    }
  }
  for (const TensorInfo& tensor : write.checkpoint.tensors())
    if (!known.contains(&tensor)) contents.copies.push_back(&tensor);
  return contents;
}

/// Refuses a copied tensor if the new form of a weight needs the name of the tensor.
void refuse_taken_names(const Checkpoint& checkpoint, const Contents& contents) {
  std::map<std::string, const StoredWeight*> owners;
  for (const StoredWeight& weight : contents.weights)
    for (std::string& name : tensor_names(weight)) owners.emplace(std::move(name), &weight);
  for (const TensorInfo* tensor : contents.copies)
    if (const auto owner = owners.find(tensor->name); owner != owners.end())
      throw Error(ErrorKind::format,
                  fmt::format("{}: tensor \"{}\": expected none of this name, which \"{}\" needs "
                              "for its new form",
                              printable_path(checkpoint.file_name(*tensor)),
                              printable(tensor->name), printable(owner->second->name)));
}

class Writer {
 public:
  Writer(const ModelWrite& write, const Contents& contents, const fs::path& file)
      : write_(write),
        contents_(contents),
        out_(file, contents.weights, specs_of(contents.copies), write.checkpoint.metadata()) {}

  /// Writes the weight of the next edit.
  PartReport weight(const WeightEdit& edit) {
    PartReport report;
    report.parameters = edit.from.source.desc.elements();
    report.bytes_before = edit.from.stored_bytes();
    report.bytes_after = report.bytes_before;
    if (is_copied(edit))
      copy(next_copy_ + tensors_of(edit.from.source).size());
    else
      transform(edit, report);
    for (const TensorInfo* tensor : tensors_of(edit.from.source)) write_.checkpoint.forget(*tensor);
    return report;
  }

  void finish() {
    copy(contents_.copies.size());
    out_.commit();
  }

 private:
  static std::vector<SafetensorsWriter::Spec> specs_of(
      const std::vector<const TensorInfo*>& tensors) {
    std::vector<SafetensorsWriter::Spec> specs;
    for (const TensorInfo* tensor : tensors)
      specs.push_back({tensor->name, tensor->dtype, tensor->shape});
    return specs;
  }

  /// Writes the copies before index `end`.
  void copy(std::size_t end) {
    for (; next_copy_ < end; ++next_copy_) {
      const TensorInfo& tensor = *contents_.copies[next_copy_];
      for (std::uint64_t at = 0; at < tensor.size_bytes; at += bytes_.size()) {
        bytes_.resize(
            static_cast<std::size_t>(std::min<std::uint64_t>(kCopyBytes, tensor.size_bytes - at)));
        write_.checkpoint.read_part(tensor, at, bytes_);
        out_.write_other(next_copy_, at, bytes_);
      }
    }
  }

  void transform(const WeightEdit& edit, PartReport& report) {
    const std::size_t number = next_weight_++;
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
        encode_floats(dense, first, floats, bytes_);
        out_.write_dense(number, static_cast<std::uint64_t>(first) * size_of(dense.dtype), bytes_);
      });
      report.bytes_after = dense.stored_bytes();
      return;
    }
    const WeightDesc desc = quantize(dense, *edit.how, read, coded_);
    report.bytes_after = out_.write(number, desc, coded_.parts);
    for_each_piece(dense, read, [&](std::int64_t first, std::span<const float> floats) {
      decoded_.resize(floats.size());
      decode(desc, coded_.parts, first, decoded_);
      for (std::size_t i = 0; i < floats.size(); ++i) {
        const double error = double{floats[i]} - double{decoded_[i]};
        report.error_squares += error * error;
        report.squares += double{floats[i]} * double{floats[i]};
      }
      if (!edit.change) return;
      base_.resize(floats.size());
      stored(first, base_);
      for (std::size_t i = 0; i < floats.size(); ++i) {
        const double change = double{floats[i]} - double{base_[i]};
        report.change_products += change * (double{decoded_[i]} - double{base_[i]});
        report.change_squares += change * change;
      }
    });
  }

  const ModelWrite& write_;
  const Contents& contents_;
  StoredWeightWriter out_;
  std::size_t next_weight_ = 0, next_copy_ = 0;
  LoadedWeight stored_, coded_;
  std::vector<std::byte> bytes_;
  std::vector<float> decoded_, base_;
};

/// The keys that tell other programs the formats of the new model.
Json keys_of(const std::vector<WeightEdit>& edits) {
  std::vector<StoredWeight> weights;
  for (const WeightEdit& edit : edits) {
    weights.push_back(stored_weight(edit.from));
    weights.back().desc = edit.to;
  }
  return quantization_keys(weights);
}

/// The text of the new config.json. It is the old text, in which each key that the family reads has
/// the value of `spec`.
std::string config_of(const ModelWrite& write) {
  Json json = parse_json(write.config_text, "config.json");
  const Json known = Json::parse(write.spec.config);
  for (const auto& [key, value] : known.items()) json[key] = value;
  const bool same_forms = std::ranges::all_of(write.edits, [](const WeightEdit& edit) {
    return is_same_form(edit.from.source.desc, edit.to);
  });
  // Other tools describe the stored formats in these keys. The old description would be wrong for
  // the new file. This program does not need one, because the tensors tell their formats.
  if (!same_forms) {
    for (const char* key : kQuantizationKeys) json.erase(key);
    if (write.spec.quantizes_embedding) json.update(keys_of(write.edits));
  }
  return json.dump(2) + "\n";
}

/// The memory that the largest weight needs while its new form is made.
MemoryNeed memory_for(const std::vector<WeightEdit>& edits) {
  std::uint64_t read = 0, written = 0, pieces = kCopyBytes;
  for (const WeightEdit& edit : edits) {
    if (is_copied(edit)) continue;
    const WeightDesc& from = edit.from.source.desc;
    if (from.format != WeightFormat::dense) read = std::max(read, from.stored_bytes());
    if (edit.how) written = std::max(written, edit.to.stored_bytes());
    const auto piece = static_cast<std::uint64_t>(rows_of_piece(edit.to) * edit.to.cols);
    // A piece needs two arrays of floats: the new values, and the values decoded from the codes.
    pieces = std::max(pieces, kCopyBytes + 2 * piece * sizeof(float));
  }
  MemoryRow row{"system memory",
                {{"weight as read", read}, {"weight as written", written}, {"pieces", pieces}},
                available_memory_bytes()};
  std::erase_if(row.parts, [](const MemoryRow::Part& part) { return part.bytes == 0; });
  MemoryNeed need;
  need.rows = {std::move(row)};
  return need;
}

}  // namespace

void copy_tokenizer(const fs::path& from, const fs::path& to) {
  for (const fs::path& entry : entries_of(from)) {
    const fs::path name = entry.filename();
    if (matches(kTokenizerFiles, name))
      copy_whole_file(entry, to / name);
    else if (matches(kTokenizerFolders, name) && !fs::is_regular_file(entry))
      copy_folder(entry, to / name);
  }
}

std::optional<std::map<std::string, PartReport>> write_model(const ModelWrite& write,
                                                             const fs::path& output,
                                                             const LoadProgress& on_progress,
                                                             const std::atomic<bool>& interrupted) {
  const Contents contents = contents_of(write);
  refuse_taken_names(write.checkpoint, contents);
  refuse_too_little_memory(memory_for(write.edits));
  std::uint64_t total_bytes = 0, needed_bytes = 0;
  for (const WeightEdit& edit : write.edits) total_bytes += edit.from.source.desc.stored_bytes();
  for (const StoredWeight& weight : contents.weights) needed_bytes += weight.desc.stored_bytes();
  for (const TensorInfo* tensor : contents.copies) needed_bytes += tensor->size_bytes;

  AtomicFolder folder(output);
  refuse_a_full_disk(folder.temporary(), needed_bytes);
  // These files are copied first, because they might be gone after hours of other work.
  copy_tokenizer(write.files.folder, folder.temporary());
  AtomicFile config(folder.temporary() / "config.json");
  config.write(config_of(write));
  config.commit();

  Writer writer(write, contents, folder.temporary() / "model.safetensors");
  std::map<std::string, PartReport> parts;
  std::uint64_t done_bytes = 0;
  for (const WeightEdit& edit : write.edits) {
    if (interrupted) return std::nullopt;
    parts[std::string(part_of(edit.from.slot.key.id))] += writer.weight(edit);
    if (on_progress) on_progress(done_bytes += edit.from.source.desc.stored_bytes(), total_bytes);
  }
  writer.finish();
  if (interrupted) return std::nullopt;
  folder.commit();
  return parts;
}

}  // namespace bitaxon
