// A new model made from another one: quantized to four bits, or with an adapter folded in.
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
  bool nested = false;           ///< nf4: scales in 8 bits ("double quantization")
};

struct MergeOptions {
  /// The adapter's safetensors file, with or without its ending, or its folder. LoRA or DoRA.
  std::filesystem::path adapter;
  double scale = 20;                            ///< factor of the adapter's product
  std::optional<std::int64_t> rank = {};        ///< refuses an adapter of another rank
  bool re_quantize = true;                      ///< false: quantized matrices are written as floats
  std::optional<std::int64_t> group_size = {};  ///< when quantizing again; empty: the model's
};

/// One part of a model ("embedding", "experts", ...), or all of it.
struct BX_API PartReport {
  std::int64_t parameters = 0;
  std::uint64_t bytes_before = 0, bytes_after = 0;
  double error_squares = 0, squares = 0;  ///< of the weights that were quantized

  PartReport& operator+=(const PartReport& other);
  /// ||w - w'|| / ||w|| of the weights that were quantized; 0 if none was.
  double relative_error() const;
};

struct RewriteReport {
  std::map<std::string, PartReport> parts;
  PartReport total;
  /// Those of the model: a tied head has the parameters of the embedding. More may be stored.
  std::int64_t n_parameters = 0;
};

/// A new model that has been decided on, and is not written yet. The old model's files stay open.
class BX_API Rewrite {
 public:
  /// Reads and checks the old model. Throws Error(io, format, unsupported); Error(invalid_argument)
  /// for options out of range, and for an adapter of another rank.
  static Rewrite quantize(const ModelFiles& files, const QuantizeOptions& options = {});
  static Rewrite merge(const ModelFiles& files, const MergeOptions& options);
  Rewrite(Rewrite&&) noexcept;
  Rewrite& operator=(Rewrite&&) noexcept;
  ~Rewrite();

  /// What is odd about the files, a line each.
  const std::vector<std::string>& warnings() const;
  /// Whether the new model has 4-bit matrices.
  bool has_codes() const;

  /// Writes the new model into a new folder, which appears when it is complete. Can be called once.
  /// Returns nothing when it was interrupted. Throws Error(io), also if the folder is there and not
  /// empty; OutOfMemory before anything is written; Error(format) for a number that the new form
  /// cannot hold.
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

/// Where quantize and merge write a model if no folder is named: "q4" in the model's folder, and
/// the model's folder with "-merged" behind its name. A model of the hub is in the cache, where no
/// results are written: the repository's name with "-q4" or "-merged", in the current folder.
BX_API std::filesystem::path default_quantized_folder(const ModelSource& source);
BX_API std::filesystem::path default_merged_folder(const ModelSource& source);

/// Whether `output` is the folder or the file of the model that is read.
BX_API bool is_own_input(const ModelFiles& files, const std::filesystem::path& output);

}  // namespace bitaxon
