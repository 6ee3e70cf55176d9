// Tests of the library as a whole: versions, names, error text, log, buffers, devices.
#include <cstddef>
#include <thread>

#include "c_tests/handles.h"
#include "formats/json.h"

namespace bitaxon::test {
namespace {

// Programs that were compiled with an older header depend on these numbers. Structs may only grow.
#if UINTPTR_MAX == UINT64_MAX
static_assert(sizeof(bitaxon_model_options) == 136);
static_assert(offsetof(bitaxon_model_options, cancel) == 128);
static_assert(sizeof(bitaxon_sampler) == 56);
static_assert(offsetof(bitaxon_sampler, seed) == 48);
static_assert(sizeof(bitaxon_generate_options) == 80);
static_assert(offsetof(bitaxon_generate_options, cancel) == 72);
static_assert(sizeof(bitaxon_generate_result) == 80);
static_assert(offsetof(bitaxon_generate_result, decode_tokens_per_sec) == 72);
static_assert(sizeof(bitaxon_chat_options) == 72);
static_assert(sizeof(bitaxon_device_info) == 96);
static_assert(sizeof(bitaxon_quantize_options) == 64);
static_assert(sizeof(bitaxon_merge_options) == 64);
static_assert(sizeof(bitaxon_evaluate_options) == 48);
static_assert(sizeof(bitaxon_evaluation) == 56);
#endif

TEST(CLibrary, HasTheVersionOfTheHeader) {
  EXPECT_EQ(bitaxon_abi_version(), BITAXON_ABI_VERSION);
  EXPECT_EQ(bitaxon_abi_version() >> 16, 0u);
  BufferHandle json;
  expect_ok(bitaxon_build_info(json.p));
  const Json info = Json::parse(json.text());
  EXPECT_EQ(info["version"], bitaxon_version_string());
  EXPECT_EQ(info["abi_version"], BITAXON_ABI_VERSION);
  EXPECT_FALSE(info["backends"].empty());
}

// The numbers and names are part of the interface: no value may ever change.
TEST(CLibrary, NamesEveryStatus) {
  const char* names[] = {"OK",   "INVALID_ARGUMENT", "UNSUPPORTED", "FORMAT",
                         "IO",   "DEVICE",           "INTERNAL",    "OUT_OF_MEMORY",
                         "BUSY", "INTERRUPTED",      "TIMEOUT",     "END"};
  for (int i = 0; i < 12; ++i) EXPECT_STREQ(bitaxon_status_name(i), names[i]);
  for (const int other : {-1, 12, INT32_MIN, INT32_MAX})
    EXPECT_STREQ(bitaxon_status_name(other), "UNKNOWN");
}

TEST(CLibrary, KeepsTheErrorTextOfEachThread) {
  EXPECT_EQ(bitaxon_buffer_new(nullptr), BITAXON_STATUS_INVALID_ARGUMENT);
  const std::string text = bitaxon_last_error();
  EXPECT_EQ(text, "buffer: expected a pointer, got null");
  std::thread([] {
    EXPECT_STREQ(bitaxon_last_error(), "");
    EXPECT_EQ(bitaxon_cancel_new(nullptr), BITAXON_STATUS_INVALID_ARGUMENT);
    EXPECT_STREQ(bitaxon_last_error(), "cancel: expected a pointer, got null");
  }).join();
  EXPECT_EQ(bitaxon_last_error(), text);
  bitaxon_buffer_free(nullptr);
  EXPECT_EQ(bitaxon_last_error(), text) << "a function without a status changed the text";
  BufferHandle made;
  EXPECT_STREQ(bitaxon_last_error(), "");
}

TEST(CLibrary, CutsALongErrorTextAtACharacter) {
  std::string name = "/";
  for (int i = 0; i < 4000; ++i) name += "é";
  ModelHandle model;
  EXPECT_EQ(bitaxon_model_open(name.data(), name.size(), nullptr, &model.p), BITAXON_STATUS_IO);
  const std::string text = bitaxon_last_error();
  EXPECT_GT(text.size(), 2000u);
  EXPECT_LT(text.size(), 2048u);
  EXPECT_TRUE(Json(text).dump().size() > 0) << "not UTF-8";
}

TEST(CLibrary, IsSilentUntilALogIsSet) {
  struct Line {
    std::int32_t level;
    std::string text;
  };
  std::vector<Line> lines;
  const auto log = [](void* user, std::int32_t level, const char* text, std::uint64_t size) {
    EXPECT_EQ(text[size], '\0');
    static_cast<std::vector<Line>*>(user)->push_back({level, std::string(text, size)});
  };
  auto options = model_options();
  options.device = "auto";
  options.device_size = 4;
  open_small(options);
  EXPECT_TRUE(lines.empty());
  expect_ok(bitaxon_set_log(log, &lines));
  open_small(options);
  expect_ok(bitaxon_set_log(nullptr, nullptr));
  ASSERT_FALSE(lines.empty());
  EXPECT_TRUE(lines.front().text.starts_with("device: ")) << lines.front().text;
  EXPECT_EQ(lines.front().level, BITAXON_LOG_NOTE);
  const std::size_t n_lines = lines.size();
  open_small(options);
  EXPECT_EQ(lines.size(), n_lines);
}

TEST(CLibrary, ReadsNothingFromANullBuffer) {
  EXPECT_STREQ(static_cast<const char*>(bitaxon_buffer_data(nullptr)), "");
  EXPECT_EQ(bitaxon_buffer_size(nullptr), 0u);
  BufferHandle empty;
  EXPECT_STREQ(static_cast<const char*>(bitaxon_buffer_data(empty.p)), "");
  EXPECT_EQ(bitaxon_buffer_size(empty.p), 0u);
}

TEST(CLibrary, SetsAndClearsACancelToken) {
  CancelHandle cancel;
  expect_ok(bitaxon_cancel_new(&cancel.p));
  EXPECT_EQ(bitaxon_cancel_is_set(cancel.p), 0);
  bitaxon_cancel_set(cancel.p);
  EXPECT_EQ(bitaxon_cancel_is_set(cancel.p), 1);
  bitaxon_cancel_clear(cancel.p);
  EXPECT_EQ(bitaxon_cancel_is_set(cancel.p), 0);
  bitaxon_cancel_set(nullptr);
  bitaxon_cancel_clear(nullptr);
  EXPECT_EQ(bitaxon_cancel_is_set(nullptr), 0);
}

TEST(CLibrary, ListsTheDevicesThatTheJsonLists) {
  BufferHandle json;
  expect_ok(bitaxon_devices(json.p));
  const Json devices = Json::parse(json.text());
  DeviceListHandle list;
  expect_ok(bitaxon_device_list_new(&list.p));
  ASSERT_EQ(bitaxon_device_list_count(list.p), devices.size());
  bool found_cpu = false;
  for (std::uint64_t i = 0; i < devices.size(); ++i) {
    auto info = initialized(bitaxon_device_info_init);
    expect_ok(bitaxon_device_list_at(list.p, i, &info));
    EXPECT_EQ(devices[i]["selector"], std::string(info.selector, info.selector_size));
    EXPECT_EQ(devices[i]["name"], info.name);
    EXPECT_EQ(devices[i]["usable"], info.usable == 1);
    EXPECT_EQ(devices[i]["memory_total_bytes"], info.memory_total_bytes);
    found_cpu |= std::string(info.selector) == "cpu";
  }
  EXPECT_TRUE(found_cpu);
  auto info = initialized(bitaxon_device_info_init);
  const bitaxon_device_info before = info;
  expect_failure(bitaxon_device_list_at(list.p, devices.size(), &info),
                 BITAXON_STATUS_INVALID_ARGUMENT, "index");
  EXPECT_EQ(std::memcmp(&info, &before, sizeof(info)), 0);
  EXPECT_EQ(bitaxon_device_list_count(nullptr), 0u);
}

}  // namespace
}  // namespace bitaxon::test
