#include "vulkan/device/device_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>

#include "vulkan/device/floor.h"

namespace bitaxon::vulkan {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

/// The rank of a type of device. The device with the higher rank is preferred. A device of a type
/// with rank 0 is used only if the user names the device.
int rank(DeviceType type) {
  switch (type) {
    case DeviceType::discrete:
      return 3;
    case DeviceType::integrated:
      return 2;
    case DeviceType::virtual_gpu:
      return 1;
    case DeviceType::cpu:
    case DeviceType::other:
      break;
  }
  return 0;
}

std::string lacks(const std::vector<std::string>& missing) {
  return fmt::format("cannot be used: lacks {}", fmt::join(missing, ", "));
}

/// The reason why device `a` is preferred to device `b`; empty if `b` is preferred. The first
/// property in which the devices differ decides. `a` must be the earlier device.
std::string advantage(const DeviceCaps& a, const DeviceCaps& b) {
  if (rank(a.type) != rank(b.type))
    return rank(a.type) < rank(b.type)
               ? ""
               : fmt::format("its type is {}, before {}", name_of(a.type), name_of(b.type));
  if (a.matrix_shapes.empty() != b.matrix_shapes.empty())
    return a.matrix_shapes.empty() ? "" : "it has matrix units";
  if (a.subgroup_size_control != b.subgroup_size_control)
    return a.subgroup_size_control ? "its subgroup size can be set" : "";
  return a.index < b.index ? "of equals the first is taken" : "";
}

DeviceChoice choose_best(std::span<const DeviceCaps> devices) {
  DeviceChoice choice;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    const std::vector<std::string> missing = missing_of(devices[i]);
    DeviceVerdict& verdict = choice.verdicts.emplace_back();
    verdict.usable = missing.empty();
    if (!verdict.usable) {
      verdict.reason = lacks(missing);
    } else if (rank(devices[i].type) == 0) {
      verdict.reason = fmt::format("its type is {}: only when named", name_of(devices[i].type));
    } else if (!choice.chosen || advantage(devices[*choice.chosen], devices[i]).empty()) {
      choice.chosen = i;
    }
  }
  if (!choice.chosen) return choice;
  const DeviceCaps& best = devices[*choice.chosen];
  bool alone = true;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    DeviceVerdict& verdict = choice.verdicts[i];
    if (i == *choice.chosen || !verdict.reason.empty()) continue;
    alone = false;
    verdict.reason =
        fmt::format("vulkan:{} is preferred: {}", best.index, advantage(best, devices[i]));
  }
  choice.verdicts[*choice.chosen].reason =
      fmt::format("the {} GPU ({})", alone ? "only usable" : "most preferred", name_of(best.type));
  return choice;
}

std::optional<std::uint32_t> index_of(const std::string& selector) {
  std::uint32_t index = 0;
  const char* end = selector.data() + selector.size();
  const auto [stop, error] = std::from_chars(selector.data(), end, index);
  if (error != std::errc() || stop != end) return std::nullopt;
  return index;
}

/// Whether `selector` is the PCI address `address`. The domain may be left out: "65:00.0", a bus, a
/// device and a function, matches in any domain.
bool is_pci_address_of(const std::string& selector, const std::string& address) {
  if (address.empty()) return false;
  return selector == address || selector == address.substr(address.find(':') + 1);
}

/// The 32 hexadecimal digits of the UUID `selector`, without dashes. Empty if `selector` is not a
/// UUID.
std::string uuid_digits(std::string selector) {
  std::erase(selector, '-');
  return selector.size() == 2 * VK_UUID_SIZE &&
                 std::all_of(selector.begin(), selector.end(), is_hex)
             ? selector
             : "";
}

/// The indices of the devices that `selector` matches. Reads it as each kind of selector in turn,
/// and returns the matches of the first kind that has any.
std::vector<std::size_t> matches_of(std::span<const DeviceCaps> devices,
                                    const std::string& selector) {
  const std::string text = lower(selector);
  const std::optional<std::uint32_t> index = index_of(text);
  const std::string uuid = uuid_digits(text);
  const std::function<bool(const DeviceCaps&)> kinds[] = {
      [&](const DeviceCaps& caps) { return index == caps.index; },
      [&](const DeviceCaps& caps) { return is_pci_address_of(text, lower(caps.pci_address)); },
      [&](const DeviceCaps& caps) { return uuid_digits(uuid_text(caps.device_uuid)) == uuid; },
      // A number of one or two digits is an index: "1" must not match "llvmpipe (LLVM 15.0.6)".
      [&](const DeviceCaps& caps) {
        return !(index && text.size() <= 2) && lower(caps.name).find(text) != std::string::npos;
      },
  };
  std::vector<std::size_t> matches;
  for (const auto& matches_kind : kinds) {
    for (std::size_t i = 0; i < devices.size(); ++i)
      if (matches_kind(devices[i])) matches.push_back(i);
    if (!matches.empty()) break;
  }
  return matches;
}

DeviceChoice choose_named(std::span<const DeviceCaps> devices, const std::string& selector) {
  DeviceChoice choice;
  for (const DeviceCaps& caps : devices) {
    const std::vector<std::string> missing = missing_of(caps);
    choice.verdicts.push_back(missing.empty()
                                  ? DeviceVerdict{true, fmt::format("not \"{}\"", selector)}
                                  : DeviceVerdict{false, lacks(missing)});
  }
  const std::vector<std::size_t> matches = matches_of(devices, selector);
  if (matches.empty()) return choice;
  const std::string several =
      matches.size() == 1 ? "" : fmt::format(", the first of {} with this name", matches.size());
  for (const std::size_t i : matches)
    if (choice.verdicts[i].usable)
      choice.verdicts[i].reason = fmt::format("vulkan:{} comes first of those that are \"{}\"",
                                              devices[matches[0]].index, selector);
  DeviceVerdict& first = choice.verdicts[matches[0]];
  if (first.usable) {
    choice.chosen = matches[0];
    first.reason = fmt::format("named \"{}\"{}", selector, several);
  } else {
    first.reason = fmt::format("named \"{}\"{}; {}", selector, several, first.reason);
  }
  return choice;
}

}  // namespace

DeviceChoice choose_device(std::span<const DeviceCaps> devices, const std::string& selector) {
  return selector.empty() ? choose_best(devices) : choose_named(devices, selector);
}

std::string problem_of(const DeviceChoice& choice, std::span<const DeviceCaps> devices,
                       const std::string& selector) {
  if (devices.empty())
    return "no Vulkan device: install mesa-vulkan-drivers or the driver of the device's vendor";
  std::string problem = selector.empty() ? "vulkan: no GPU that can be used"
                                         : fmt::format("vulkan:{}: no usable device", selector);
  for (std::size_t i = 0; i < devices.size(); ++i)
    problem += fmt::format("; vulkan:{} ({}): {}", devices[i].index, devices[i].name,
                           choice.verdicts[i].reason);
  return problem;
}

}  // namespace bitaxon::vulkan
