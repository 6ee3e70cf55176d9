#include "vulkan/drivers/driver_record.h"

#include <system_error>

#include "formats/json.h"
#include "platform/file.h"

namespace bitaxon::vulkan {
namespace {

constexpr std::uint64_t kMaxFileBytes = std::uint64_t{1} << 20;
constexpr std::size_t kMostRecords = 16;

Json names_of(const std::vector<std::filesystem::path>& files) {
  Json names = Json::array();
  for (const std::filesystem::path& file : files) names.push_back(file.string());
  return names;
}

Json to_json(const std::string& key, const Drivers& drivers) {
  Json rejected = Json::array();
  for (const RejectedDriver& driver : drivers.rejected)
    rejected.push_back({{"manifest", driver.manifest.string()}, {"problem", driver.problem}});
  return {{"key", key},
          {"manifests", drivers.manifests ? names_of(*drivers.manifests) : Json()},
          {"with_layers", drivers.with_layers},
          {"rejected", rejected},
          {"problem", drivers.problem},
          {"warning", drivers.warning}};
}

Drivers to_drivers(const Json& record) {
  Drivers drivers;
  if (const Json& manifests = record.at("manifests"); !manifests.is_null()) {
    drivers.manifests.emplace();
    for (const Json& name : manifests) drivers.manifests->emplace_back(name.get<std::string>());
  }
  drivers.with_layers = record.at("with_layers").get<bool>();
  for (const Json& driver : record.at("rejected"))
    drivers.rejected.push_back(
        {driver.at("manifest").get<std::string>(), driver.at("problem").get<std::string>()});
  drivers.problem = record.at("problem").get<std::string>();
  drivers.warning = record.at("warning").get<std::string>();
  return drivers;
}

/// The records in the file, newest first.
Json read_records(const std::filesystem::path& file) try {
  Json records = parse_json(read_whole_file(file, kMaxFileBytes), file.string());
  return records.is_array() ? records : Json::array();
} catch (const std::exception&) {
  return Json::array();
}

bool is_for(const Json& record, const std::string& key) {
  return record.is_object() && record.contains("key") && record["key"] == key;
}

}  // namespace

std::optional<Drivers> read_record(const std::filesystem::path& file, const std::string& key) try {
  for (const Json& record : read_records(file))
    if (is_for(record, key)) return to_drivers(record);
  return std::nullopt;
} catch (const std::exception&) {
  return std::nullopt;
}

void write_record(const std::filesystem::path& file, const std::string& key,
                  const Drivers& drivers) noexcept {
  try {
    Json records = Json::array({to_json(key, drivers)});
    for (const Json& record : read_records(file))
      if (!is_for(record, key) && records.size() < kMostRecords) records.push_back(record);
    std::error_code ignored;
    std::filesystem::create_directories(file.parent_path(), ignored);
    AtomicFile written(file);
    written.write(records.dump(2) + "\n");
    written.commit();
  } catch (const std::exception&) {
    // Without a record, the next run tries the drivers again.
  }
}

}  // namespace bitaxon::vulkan
