#include "bitaxon/rewrite.h"

#include <fmt/format.h>

#include <cmath>

#include "session/rewrite_impl.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

/// A folder next to the model's folder, with the same name and `suffix`. For a model of the hub, a
/// folder in the current directory, with the repository's name and `suffix`.
fs::path folder_beside(const ModelSource& source, const std::string& suffix) {
  if (!source.repository.empty())
    return source.repository.substr(source.repository.find('/') + 1) + suffix;
  fs::path folder = source.files.folder.lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();  // "model/"
  // A suffix cannot be added to "", "." and "..".
  const bool is_named = !folder.empty() && folder.filename() != "." && folder.filename() != "..";
  if (!is_named) folder = fs::canonical(source.files.folder);
  folder += suffix;
  return folder;
}

}  // namespace

PartReport& PartReport::operator+=(const PartReport& other) {
  parameters += other.parameters;
  bytes_before += other.bytes_before;
  bytes_after += other.bytes_after;
  error_squares += other.error_squares;
  squares += other.squares;
  change_products += other.change_products;
  change_squares += other.change_squares;
  return *this;
}

double PartReport::relative_error() const {
  return error_squares == 0 ? 0 : std::sqrt(error_squares / squares);
}

std::optional<double> PartReport::kept_change() const {
  return change_squares == 0 ? std::nullopt : std::optional(change_products / change_squares);
}

Rewrite::Rewrite(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Rewrite::Rewrite(Rewrite&&) noexcept = default;
Rewrite& Rewrite::operator=(Rewrite&&) noexcept = default;
Rewrite::~Rewrite() = default;

const std::vector<std::string>& Rewrite::warnings() const { return impl_->warnings; }

bool Rewrite::has_codes() const {
  for (const WeightEdit& edit : impl_->edits)
    if (edit.to.format != WeightFormat::dense) return true;
  return false;
}

std::optional<RewriteReport> Rewrite::write(
    const fs::path& output,
    const std::function<void(std::uint64_t done_bytes, std::uint64_t total_bytes)>& on_progress,
    const std::atomic<bool>* interrupted) {
  const std::atomic<bool> never{false};
  const auto parts = write_model(
      {impl_->files, impl_->checkpoint, impl_->spec, impl_->config_text, std::move(impl_->edits)},
      output, on_progress, interrupted == nullptr ? never : *interrupted);
  if (!parts) return std::nullopt;
  RewriteReport report{.parts = *parts, .total = {}, .n_parameters = 0};
  for (const auto& [name, part] : report.parts) report.total += part;
  report.n_parameters = report.total.parameters;
  if (const auto head = parts->find("head"); head != parts->end() && impl_->spec.has_tied_head)
    report.n_parameters -= head->second.parameters;
  return report;
}

fs::path default_quantized_folder(const ModelSource& source, int bits) {
  return source.repository.empty() ? source.files.folder / fmt::format("q{}", bits)
                                   : folder_beside(source, fmt::format("-q{}", bits));
}

fs::path default_merged_folder(const ModelSource& source) {
  return folder_beside(source, "-merged");
}

bool is_own_input(const ModelFiles& files, const fs::path& output) {
  std::error_code error;
  const auto place = [&](const fs::path& path) {
    return fs::weakly_canonical(fs::absolute(path), error);
  };
  return place(output) == place(files.folder) || place(output) == place(files.weights);
}

}  // namespace bitaxon
