#include "platform/temperature.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "platform/nvml.h"

namespace bitaxon {
namespace {

namespace fs = std::filesystem;

/// Drivers of temperature sensors inside a processor.
constexpr std::array<std::string_view, 4> kCpuDrivers = {"coretemp", "k10temp", "zenpower",
                                                         "cpu_thermal"};

constexpr std::string_view kNvidia = "0x10de";  // as in the file `vendor` of a PCI device

std::string first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

void keep_hottest(std::optional<double>& hottest, const fs::path& file) {
  std::ifstream in(file);
  double millidegrees = 0;
  if (in >> millidegrees) hottest = std::max(hottest.value_or(-273.15), millidegrees * 1e-3);
}

/// Keeps the highest of the values in temp*_input of an hwmon folder.
void read_sensors(const fs::path& folder, std::optional<double>& hottest) {
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with("temp") && name.ends_with("_input")) keep_hottest(hottest, it->path());
  }
}

}  // namespace

std::optional<double> cpu_temperature() {
  std::optional<double> hottest;
  std::error_code error;
  for (fs::directory_iterator it("/sys/class/hwmon", error), end; !error && it != end;
       it.increment(error))
    if (std::ranges::find(kCpuDrivers, first_line(it->path() / "name")) != kCpuDrivers.end())
      read_sensors(it->path(), hottest);
  if (hottest) return hottest;
  error.clear();
  for (fs::directory_iterator it("/sys/class/thermal", error), end; !error && it != end;
       it.increment(error)) {
    const std::string type = first_line(it->path() / "type");
    if (type == "x86_pkg_temp" || type.starts_with("cpu"))
      keep_hottest(hottest, it->path() / "temp");
  }
  return hottest;
}

std::optional<double> pci_temperature(const std::string& address) {
  std::optional<double> hottest;
  if (address.empty()) return hottest;
  std::error_code error;
  const fs::path folder = fs::path("/sys/bus/pci/devices") / address;
  for (fs::directory_iterator it(folder / "hwmon", error), end; !error && it != end;
       it.increment(error))
    read_sensors(it->path(), hottest);
  if (hottest || first_line(folder / "vendor") != kNvidia) return hottest;
  static const auto* const nvml =
      new Nvml();  // never closed: other objects may use it until the end
  return nvml->temperature(address);
}

std::optional<double> file_temperature(const fs::path& file) {
  // Degrees and thousandths cannot be confused: no processor has 200 degrees, and none 0.2.
  constexpr double kLeastMillidegrees = 200;
  const std::string line = first_line(file);
  double value = 0;
  const auto parsed = std::from_chars(line.data(), line.data() + line.size(), value);
  const std::string_view rest(parsed.ptr,
                              static_cast<std::size_t>(line.data() + line.size() - parsed.ptr));
  if (parsed.ec != std::errc() || !std::isfinite(value) ||
      rest.find_first_not_of(" \t\r") != std::string_view::npos)
    return std::nullopt;
  return std::abs(value) >= kLeastMillidegrees ? value * 1e-3 : value;
}

}  // namespace bitaxon
