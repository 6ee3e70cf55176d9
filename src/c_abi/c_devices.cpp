#include "bitaxon/c/bitaxon.h"
#include "bitaxon/devices.h"
#include "c_abi/handles.h"
#include "c_abi/log.h"
#include "c_abi/structs.h"
#include "formats/json.h"
#include "session/report_json.h"

using namespace bitaxon::c;

struct bitaxon_device_list {
  std::vector<bitaxon::DeviceInfo> devices;
};

namespace {

bitaxon::DeviceList find_and_log() {
  bitaxon::DeviceList list = bitaxon::find_devices();
  if (!list.note.empty()) log_lines(BITAXON_LOG_NOTE, {list.note});
  if (!list.warning.empty()) log_lines(BITAXON_LOG_WARNING, {list.warning});
  return list;
}

bitaxon_device_info info_of(const bitaxon::DeviceInfo& device) {
  auto info = defaults<bitaxon_device_info>();
  info.threads = device.n_threads;
  info.usable = device.usable ? 1 : 0;
  info.chosen_by_auto = device.chosen_by_auto ? 1 : 0;
  info.memory_total_bytes = device.memory_total_bytes;
  info.memory_available_bytes = device.memory_available_bytes;
  const auto lend = [](const std::string& text, const char*& data, std::uint64_t& size) {
    data = text.c_str();
    size = text.size();
  };
  lend(device.selector, info.selector, info.selector_size);
  lend(device.name, info.name, info.name_size);
  lend(device.type, info.type, info.type_size);
  lend(device.reason, info.reason, info.reason_size);
  return info;
}

}  // namespace

bitaxon_status bitaxon_devices(bitaxon_buffer* json) {
  return guard([&] {
    not_null(json, "json");
    fill(json, bitaxon::devices_json(find_and_log()).dump());
  });
}

bitaxon_status bitaxon_device_list_new(bitaxon_device_list** list) {
  return guard([&] {
    not_null(list, "list");
    give(list, find_and_log().devices);
  });
}

uint64_t bitaxon_device_list_count(const bitaxon_device_list* list) {
  return list == nullptr ? 0 : list->devices.size();
}

bitaxon_status bitaxon_device_list_at(const bitaxon_device_list* list, uint64_t index,
                                      bitaxon_device_info* info) {
  return guard([&] {
    const auto& devices = not_null(list, "list").devices;
    not_null(info, "info");
    check_output(info, "info");
    if (index >= devices.size())
      refuse(fmt::format("index: expected one below {}, got {}", devices.size(), index));
    store(info, info_of(devices[static_cast<std::size_t>(index)]));
  });
}

void bitaxon_device_list_free(bitaxon_device_list* list) { delete list; }
