// A new model made from another one: quantized, or with an adapter folded in.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bitaxon/export.h"
#include "bitaxon/model_files.h"
#include "bitaxon/model_spec.h"
#include "bitaxon/session.h"

namespace bitaxon {

struct QuantizeOptions {
  std::string format = "mlx";    ///< "mlx" (affine codes) or "nf4" (bitsandbytes' layout)
  std::int64_t group_size = 64;  ///< codes that share a scale: 32, 64 or 128
  bool nested = false;           ///< nf4: store scales in 8 bits ("double quantization")
  int bits = 4;                  ///< mlx: bits of a code, 4 or 8
};

struct MergeOptions {
  /// The safetensors file of a LoRA or DoRA adapter, with or without the ending ".safetensors", or
  /// the folder with this file.
  std::filesystem::path adapter;
  /// Factor of the adapter's product. Empty: the factor that the adapter's file gives, or
  /// adapter_config.json beside it, or 20 for an adapter of mlx without this file.
  std::optional<double> scale = {};
  std::optional<std::int64_t> rank = {};  ///< if set, an adapter of another rank is refused
  bool re_quantize = true;                ///< if false, quantized matrices become floats
  /// The type of changed matrices that are written as floats. Empty: the type that they had, for a
  /// quantized matrix the type before quantization.
  std::optional<DType> dtype = {};
  std::optional<std::int64_t> group_size = {};  ///< new group size; empty to keep the model's own
  std::optional<int> bits =
      {};  ///< new bits of affine codes, 4 or 8; empty to keep the model's own
};

/// The sizes and the quantization error of one part of a model ("embedding", "experts", ...), or of
/// the whole model.
struct BX_API PartReport {
  std::int64_t parameters = 0;
  std::uint64_t bytes_before = 0, bytes_after = 0;
  double error_squares = 0, squares = 0;  ///< sums over the weights that were quantized
  /// Sums over the weights that an adapter changed and that were then quantized: change * kept change,
  /// and change^2.
  double change_products = 0, change_squares = 0;

  PartReport& operator+=(const PartReport& other);
  /// ||w - w'|| / ||w|| of the weights that were quantized. 0 if no weight was quantized.
  double relative_error() const;
  /// The share of an adapter's change that quantized weights keep: <w' - w, change> / ||change||^2, with
  /// the base w. 1 if quantization loses nothing of it, about 0 if it erases the change. Empty if no
  /// adapter changed a quantized weight.
  std::optional<double> kept_change() const;
};

struct RewriteReport {
  std::map<std::string, PartReport> parts;
  PartReport total;
  /// The number of the model's parameters. A tied head is not counted, because it has the
  /// parameters of the embedding. `total` also counts a tied head that is stored.
  std::int64_t n_parameters = 0;
};

/// A new model that is planned but not written yet. The files of the old model stay open.
class BX_API Rewrite {
 public:
  /// Reads and checks the old model. Throws Error(io, format, unsupported) for files that cannot be
  /// used. Throws Error(invalid_argument) for options out of range, and for an adapter of another
  /// rank than MergeOptions::rank or, if its file gives one, another scale than MergeOptions::scale.
  static Rewrite quantize(const ModelFiles& files, const QuantizeOptions& options = {});
  static Rewrite merge(const ModelFiles& files, const MergeOptions& options);
  Rewrite(Rewrite&&) noexcept;
  Rewrite& operator=(Rewrite&&) noexcept;
  ~Rewrite();

  /// Problems of the files that are not errors, one line each.
  const std::vector<std::string>& warnings() const;
  /// Whether the new model has matrices of codes.
  bool has_codes() const;

  /// Writes the new model into a new folder, which appears when it is complete. This function can
  /// be called once. Returns nothing if the call was interrupted. Throws Error(io) if the folder
  /// exists and is not empty, and if a file cannot be read or written. Throws OutOfMemory before
  /// anything is written. Throws Error(format) for a number that the new form cannot hold.
  std::optional<RewriteReport> write(
      const std::filesystem::path& output,
      const std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>& on_progress =
          {},
      const std::atomic<bool>* interrupted = nullptr);

 private:
  struct Impl;
  explicit Rewrite(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// The folder where quantize writes a model if no folder is named: "q4" in the model's folder, or
/// "q8" for 8 bits. For a model of the hub, the folder is in the current directory, because results
/// are not written into the hub cache. Its name is the repository's name with "-q4" or "-q8".
BX_API std::filesystem::path default_quantized_folder(const ModelSource& source, int bits = 4);
/// The folder where merge writes a model if no folder is named: next to the model's folder, with
/// its name and "-merged". For a model of the hub, the repository's name with "-merged", in the
/// current directory.
BX_API std::filesystem::path default_merged_folder(const ModelSource& source);

/// Whether `output` is the folder or the weights file of the model `files`.
BX_API bool is_own_input(const ModelFiles& files, const std::filesystem::path& output);

}  // namespace bitaxon
