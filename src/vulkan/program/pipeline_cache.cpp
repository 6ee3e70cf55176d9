#include "vulkan/program/pipeline_cache.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <array>
#include <cstring>
#include <system_error>

#include "platform/build_info.h"
#include "platform/file.h"
#include "vulkan/device/structure.h"
#include "vulkan/program/shader.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::array<char, 8> kMagic = {'b', 'x', 'p', 'i', 'p', 'e', '0', '1'};
constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 28;

struct FileHeader {
  std::array<char, 8> magic = kMagic;
  std::uint64_t size_bytes = 0;
  std::uint64_t checksum = 0;
};

/// A hash of everything that cached pipelines depend on. If the hash changes, the cached pipelines
/// are invalid.
std::uint64_t identity_of(const DeviceCaps& caps) {
  XXH3_state_t* state = XXH3_createState();
  XXH3_64bits_reset(state);
  XXH3_64bits_update(state, caps.cache_uuid.data(), caps.cache_uuid.size());
  XXH3_64bits_update(state, caps.driver_uuid.data(), caps.driver_uuid.size());
  XXH3_64bits_update(state, &caps.driver_version, sizeof(caps.driver_version));
  for (int i = 0; i < kShaderCount; ++i) {
    const auto code = embedded_code(static_cast<Shader>(i));
    XXH3_64bits_update(state, code.data(), code.size_bytes());
  }
  const std::uint64_t hash = XXH3_64bits_digest(state);
  XXH3_freeState(state);
  return hash;
}

/// A hash of everything that test results depend on: the pipelines; the program, which chooses tiles and
/// sizes of workgroups; and what the device says about subgroups and matrix units.
std::uint64_t identity_of_results(std::uint64_t pipelines, const DeviceCaps& caps) {
  std::string text =
      fmt::format("{:x} {} {} {} {}", pipelines, build_info().version, build_info().commit,
                  caps.min_subgroup_size, caps.max_subgroup_size);
  for (const MatrixShape& shape : caps.matrix_shapes)
    text += fmt::format(" {}x{}x{}", shape.m, shape.n, shape.k);
  return XXH3_64bits(text.data(), text.size());
}

std::vector<std::byte> read_file(const std::filesystem::path& path) {
  try {
    const std::string text = read_whole_file(path, kMaxFileBytes);
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
  } catch (const std::exception&) {
    return {};  // a file that cannot be read counts as missing
  }
}

}  // namespace

std::vector<std::byte> valid_cache(std::span<const std::byte> file, const DeviceCaps& caps) {
  FileHeader header;
  if (file.size() < sizeof(header)) return {};
  std::memcpy(&header, file.data(), sizeof(header));
  const auto payload = file.subspan(sizeof(header));
  if (header.magic != kMagic || header.size_bytes != payload.size() ||
      header.checksum != XXH3_64bits(payload.data(), payload.size()))
    return {};
  // Drivers should check the header of their data, but some drivers do not check it well enough.
  VkPipelineCacheHeaderVersionOne driver{};
  if (payload.size() < sizeof(driver)) return {};
  std::memcpy(&driver, payload.data(), sizeof(driver));
  if (driver.headerVersion != VK_PIPELINE_CACHE_HEADER_VERSION_ONE ||
      driver.vendorID != caps.vendor_id || driver.deviceID != caps.device_id ||
      std::memcmp(driver.pipelineCacheUUID, caps.cache_uuid.data(), VK_UUID_SIZE) != 0)
    return {};
  return {payload.begin(), payload.end()};
}

std::vector<std::byte> cache_file(std::span<const std::byte> payload) {
  FileHeader header;
  header.size_bytes = payload.size();
  header.checksum = XXH3_64bits(payload.data(), payload.size());
  std::vector<std::byte> file(sizeof(header) + payload.size());
  std::memcpy(file.data(), &header, sizeof(header));
  std::memcpy(file.data() + sizeof(header), payload.data(), payload.size());
  return file;
}

PipelineCache::PipelineCache(const Device& device, std::filesystem::path folder) : device_(device) {
  const DeviceCaps& caps = device.caps();
  std::vector<std::byte> kept;
  if (!folder.empty()) {
    const std::string name = fmt::format("vulkan-{:04x}-{:04x}", caps.vendor_id, caps.device_id);
    const std::uint64_t identity = identity_of(caps);
    file_ = folder / fmt::format("{}-{:016x}.pipelines", name, identity);
    notes_ = folder / fmt::format("{}-{:016x}", name, identity_of_results(identity, caps));
    kept = valid_cache(read_file(file_), caps);
  }
  if (!create(kept) && !kept.empty()) create({});
}

bool PipelineCache::create(std::span<const std::byte> kept) {
  auto info = structure<VkPipelineCacheCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO);
  info.initialDataSize = kept.size();
  info.pInitialData = kept.data();
  VkPipelineCache cache = VK_NULL_HANDLE;
  if (device_.fn().vkCreatePipelineCache(device_.handle(), &info, nullptr, &cache) != VK_SUCCESS)
    return false;
  cache_ = PipelineCacheHandle(device_, cache);
  return true;
}

PipelineCache::~PipelineCache() { save(); }

std::filesystem::path PipelineCache::note_file(const std::string& name) const {
  if (notes_.empty()) return {};
  return notes_.parent_path() / (notes_.filename().string() + "." + name);
}

std::string PipelineCache::read_note(const std::string& name) const {
  if (file_.empty()) return "";
  const std::vector<std::byte> bytes = read_file(note_file(name));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void PipelineCache::write_note(const std::string& name, const std::string& text) const noexcept {
  if (file_.empty()) return;
  try {
    std::error_code ignored;
    std::filesystem::create_directories(file_.parent_path(), ignored);
    write_text_file(note_file(name), text);
  } catch (const std::exception&) {
    // Without the note, the next run repeats the test.
  }
}

void PipelineCache::save() noexcept {
  if (!changed_ || file_.empty() || !cache_) return;
  changed_ = false;
  try {
    std::size_t size = 0;
    const Functions& fn = device_.fn();
    if (fn.vkGetPipelineCacheData(device_.handle(), cache_.get(), &size, nullptr) != VK_SUCCESS)
      return;
    std::vector<std::byte> payload(size);
    if (fn.vkGetPipelineCacheData(device_.handle(), cache_.get(), &size, payload.data()) !=
        VK_SUCCESS)
      return;
    payload.resize(size);
    std::error_code ignored;
    std::filesystem::create_directories(file_.parent_path(), ignored);
    AtomicFile file(file_);
    file.write(cache_file(payload));
    file.commit();
  } catch (const std::exception&) {
    // Without the file, the next run compiles the pipelines again.
  }
}

}  // namespace bitaxon::vulkan
