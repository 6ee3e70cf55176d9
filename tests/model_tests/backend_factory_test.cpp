// Registers a test backend. It must be listed, and its selector must open it.
#include "devices/backend_factory.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "bitaxon/error.h"
#include "support/errors.h"

namespace bitaxon::test {
namespace {

/// A backend that computes nothing.
class IdleBackend final : public Backend {
 public:
  explicit IdleBackend(std::string device) {
    caps_.name = "idle";
    caps_.device = std::move(device);
  }
  const BackendCaps& caps() const override { return caps_; }
  std::shared_ptr<const BackendDescription> description() const override { refuse(); }
  Buffer allocate(std::size_t, BufferUse) override { refuse(); }
  void upload(const Buffer&, std::size_t, std::span<const std::byte>) override { refuse(); }
  void download(const Buffer&, std::size_t, std::span<std::byte>) override { refuse(); }
  void copy(std::span<const BufferCopy>) override { refuse(); }
  void finish() override { refuse(); }
  std::shared_ptr<const Weight> pack(const WeightDesc&, const WeightParts&) override { refuse(); }
  Executable compile(std::shared_ptr<const Plan>, const PlanContext&) override { refuse(); }
  Ticket submit(const Executable&, const StepBuffer&) override { refuse(); }
  StepResult wait(Ticket) override { refuse(); }
  StepCounts last_step() const override { return {}; }

 private:
  [[noreturn]] static void refuse() {
    throw Error(ErrorKind::unsupported, "the idle backend computes nothing");
  }
  BackendCaps caps_;
};

DeviceList idle_devices() {
  DeviceInfo device;
  device.selector = "idle:0";
  device.name = "a device that computes nothing";
  device.type = "other";
  return {{device}, "", ""};
}

TEST(BackendFactory, ARegisteredBackendIsListedAndOpened) {
  register_backend(
      {.name = "idle",
       .selectors = {"idle[:SEL]"},
       .list = idle_devices,
       .resolve = [](const std::string&) { return std::string("idle:0"); },
       .open = [](const std::string& selector, const OpenOptions&) -> std::shared_ptr<Backend> {
         return std::make_shared<IdleBackend>(selector);
       }});
  const std::vector<DeviceInfo> devices = list_devices();
  EXPECT_TRUE(std::ranges::any_of(
      devices, [](const DeviceInfo& device) { return device.selector == "idle:0"; }));
  EXPECT_EQ(std::ranges::count_if(devices,
                                  [](const DeviceInfo& device) { return device.chosen_by_auto; }),
            1);
  EXPECT_EQ(resolve_device("idle"), "idle:0");
  EXPECT_EQ(open_device("idle:x").backend->caps().device, "idle:x");
  for (const char* selector : {"idle:", "idle: ", "idler", "nosuch"})
    expect_error([&] { open_device(selector); }, ErrorKind::invalid_argument,
                 {"expected auto, ", "idle[:SEL]", selector});
}

}  // namespace
}  // namespace bitaxon::test
