// Tests in which each Vulkan call in the life of a model fails once. A failure must give an Error
// of the right kind, must leave no object behind and must not hang. Afterwards the backend must
// either work or fail permanently. In both cases it must be possible to open a new backend.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <optional>
#include <set>

#include "failing_calls.h"
#include "formats/weight_format.h"
#include "model_life.h"
#include "objects_in_use.h"
#include "split_memory.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"
#include "vulkan/device/result.h"
#include "vulkan_tests/test_device.h"

namespace bitaxon::vulkan::test {
namespace {

/// Ends the process if a test hangs.
class Watchdog {
 public:
  explicit Watchdog(const std::string& what) {
    std::snprintf(text_, sizeof(text_), "hangs: %s\n", what.c_str());
    std::signal(SIGALRM, bark);
    ::alarm(100);
  }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() { ::alarm(0); }

 private:
  static void bark(int) {
    [[maybe_unused]] const ssize_t n = ::write(2, text_, std::strlen(text_));
    ::_exit(1);
  }
  inline static char text_[200];
};

void hook(Functions& functions) {
  watch_objects_in_use(functions);
  FailingCalls::hook(functions);
}

VulkanOptions options() {
  static const bitaxon::test::TemporaryFolder pipelines;
  VulkanOptions all = bitaxon::test::test_options();
  all.cache_dir = pipelines.path();
  split_memory(all, hook);
  return all;
}

std::shared_ptr<Backend> open() {
  auto backend = open_vulkan_backend(options());
  backend->measure_ops(true);
  return backend;
}

struct Fault {
  std::string call;
  int nth = 1;
  VkResult result = VK_SUCCESS;

  std::string describe() const { return fmt::format("{}, call {}, {}", call, nth, name()); }
  std::string name() const { return result_name(result); }
  void arm() const {
    FailingCalls::reset();
    FailingCalls::now().name = call;
    FailingCalls::now().first = nth;
    FailingCalls::now().result = result;
  }
};

/// The errors that the specification allows for this function in particular, and some of the errors
/// that it allows for every function.
std::vector<VkResult> results_of(const std::string& call) {
  std::vector<VkResult> results = {VK_ERROR_OUT_OF_DEVICE_MEMORY, VK_ERROR_OUT_OF_HOST_MEMORY};
  const auto also = [&](std::initializer_list<const char*> names, VkResult result) {
    for (const char* name : names)
      if (call == name) results.push_back(result);
  };
  also({"vkQueueSubmit2", "vkWaitSemaphores", "vkGetSemaphoreCounterValue", "vkDeviceWaitIdle",
        "vkGetQueryPoolResults", "vkCreateDevice"},
       VK_ERROR_DEVICE_LOST);
  also({"vkCreateInstance", "vkCreateDevice"}, VK_ERROR_INITIALIZATION_FAILED);
  also({"vkCreateInstance", "vkCreateDevice"}, VK_ERROR_EXTENSION_NOT_PRESENT);
  also({"vkCreateInstance"}, VK_ERROR_LAYER_NOT_PRESENT);
  also({"vkCreateDevice"}, VK_ERROR_FEATURE_NOT_PRESENT);
  also({"vkCreateDevice", "vkAllocateMemory"}, VK_ERROR_TOO_MANY_OBJECTS);
  also({"vkMapMemory"}, VK_ERROR_MEMORY_MAP_FAILED);
  also({"vkCreateDescriptorPool"}, VK_ERROR_FRAGMENTATION);
  also({"vkAllocateDescriptorSets"}, VK_ERROR_FRAGMENTED_POOL);
  also({"vkAllocateDescriptorSets"}, VK_ERROR_OUT_OF_POOL_MEMORY);
  also({"vkCreateShaderModule", "vkCreateComputePipelines"}, VK_ERROR_INVALID_SHADER_NV);
  also({"vkCreateBuffer", "vkBindBufferMemory", "vkAllocateMemory"},
       VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS);
  also({"vkCreateComputePipelines"}, VK_ERROR_UNKNOWN);
  return results;
}

/// Faults of one function that cover all its errors. The first, the second, the middle and the last
/// of its n calls fail.
std::vector<Fault> faults_of(const std::string& call, int n) {
  const std::set<int> distinct = {1, std::min(2, n), (n + 1) / 2, n};
  const std::vector<int> places(distinct.begin(), distinct.end());
  const std::vector<VkResult> results = results_of(call);
  std::vector<Fault> faults;
  for (std::size_t i = 0; i < std::max(places.size(), results.size()); ++i)
    faults.push_back({call, places[i % places.size()], results[i % results.size()]});
  return faults;
}

bool is_fallible(const std::string& call) {
  static const std::vector<std::string> all = fallible_calls();
  return std::find(all.begin(), all.end(), call) != all.end();
}

/// Whether results stay right if this call fails.
bool may_fail(const std::string& call) {
  return call == "vkCreatePipelineCache" || call == "vkGetPipelineCacheData" ||
         call == "vkSetDebugUtilsObjectNameEXT" || call == "vkDeviceWaitIdle";
}

ErrorKind kind_of(VkResult result) {
  return result == VK_ERROR_EXTENSION_NOT_PRESENT || result == VK_ERROR_FEATURE_NOT_PRESENT ||
                 result == VK_ERROR_LAYER_NOT_PRESENT
             ? ErrorKind::unsupported
             : ErrorKind::device;
}

/// The text of the Error that `act` throws. Empty if `act` throws no Error.
template <class Act>
std::string error_of(const Act& act) {
  try {
    act();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

/// Runs `act` so that it meets the fault. Checks that the text of the resulting Error is complete,
/// and returns this text.
template <class Act>
std::string meet(const Fault& fault, const Act& act) {
  const Watchdog watchdog(fault.describe());
  std::string text;
  Fault armed = fault;
  do {
    armed.arm();
    try {
      act();
    } catch (const Error& error) {
      text = error.what();
      EXPECT_EQ(error.kind(), kind_of(fault.result)) << text;
    }
    // How often the program waits depends on the speed of the device. If `act` ended before the
    // planned call, `act` runs again and an earlier call fails.
    armed.nth = FailingCalls::now().n_calls[fault.call] - 1;
  } while (FailingCalls::now().n_failed == 0 && armed.nth > 0);
  EXPECT_EQ(FailingCalls::now().n_failed, 1);
  if (may_fail(fault.call)) {
    EXPECT_EQ(text, "");
    return "";
  }
  const std::size_t at = text.find(fault.call + "(");
  EXPECT_NE(at, text.npos) << text;
  EXPECT_EQ(text.find("()"), text.npos) << "names no object: " << text;
  EXPECT_NE(text.find("): " + fault.name() + "; "), text.npos) << text;
  EXPECT_EQ(text.find('\n'), text.npos) << text;
  EXPECT_LT(text.size(), 800u) << text;
  return text;
}

class ModelFailure : public testing::Test {
 protected:
  void SetUp() override {
    FailingCalls::reset();
    reopen();
    n_opening_ = FailingCalls::now().n_calls;
    expected_ = live();
    n_cold_ = FailingCalls::now().n_calls;
    FailingCalls::reset();
    live();
    n_warm_ = FailingCalls::now().n_calls;
  }
  void TearDown() override {
    close();
    FailingCalls::reset();
  }

  void reopen() {
    close();
    open_with_probe();
  }
  void open_with_probe() {
    backend_ = open();
    probe_ = backend_->allocate(64, BufferUse::state);
  }
  void close() {
    const Watchdog watchdog("closing");
    probe_ = {};
    backend_.reset();
    FailingCalls::expect_nothing_left();
  }
  Results live() { return Life(*backend_).run(); }
  void expect_right_results() {
    FailingCalls::reset();
    EXPECT_TRUE(live() == expected_);
  }

  /// Expects that every call to the failed backend gives the error `text`.
  void expect_failed(Life* life, const std::string& text) {
    std::array<std::byte, 64> bytes{};
    WeightDesc desc;
    desc.rows = 1;
    desc.cols = 16;
    EXPECT_EQ(error_of([&] { backend_->allocate(64, BufferUse::state); }), text);
    EXPECT_EQ(error_of([&] { backend_->upload(probe_, 0, bytes); }), text);
    EXPECT_EQ(error_of([&] { backend_->download(probe_, 0, bytes); }), text);
    EXPECT_EQ(error_of([&] { backend_->pack(desc, {.data = bytes}); }), text);
    EXPECT_EQ(error_of([&] { backend_->wait({1}); }), text);
    EXPECT_EQ(error_of([&] { live(); }), text);
    if (life != nullptr) {
      EXPECT_EQ(error_of([&] { life->run(); }), text);  // compiles a step or submits one
    }
  }

  /// Runs the life of a model on the current backend so that it meets the fault. Afterwards the
  /// backend must either work or have failed permanently. A failed backend is replaced by a new
  /// one.
  void meet_in_life(const Fault& fault) {
    SCOPED_TRACE(fault.describe());
    std::optional<Life> life;
    const std::string text = meet(fault, [&] {
      life.emplace(*backend_);
      life->run();
    });
    const bool failed = !error_of([&] { backend_->allocate(64, BufferUse::state); }).empty();
    if (fault.result == VK_ERROR_DEVICE_LOST) {
      EXPECT_TRUE(failed);
      EXPECT_NE(text.find("; last submitted: "), text.npos) << text;
    }
    if (!failed) return;
    ++n_failed_backends_;
    expect_failed(life ? &*life : nullptr, text);
    life.reset();
    reopen();
  }

  std::shared_ptr<Backend> backend_;
  Buffer probe_;
  Results expected_;
  std::map<std::string, int> n_opening_, n_cold_, n_warm_;
  int n_failed_backends_ = 0;
};

class ExhaustiveModelFailure : public ModelFailure {};

TEST_F(ModelFailure, EveryFallibleCallIsMade) {
  close();
  const std::map<std::string, int>& n_calls = FailingCalls::now().n_calls;
  for (const std::string& call : fallible_calls()) {
    // These functions are called only if layers are enabled, or on devices with matrix units.
    if (call == "vkCreateDebugUtilsMessengerEXT" || call == "vkEnumerateInstanceLayerProperties" ||
        call == "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR")
      continue;
    EXPECT_GT(n_cold_.count(call) + n_calls.count(call), 0u) << call << " is never called";
  }
}

TEST_F(ModelFailure, IsReportedWhileADeviceIsOpened) {
  for (const auto& [call, n] : n_opening_)
    for (const Fault& fault : faults_of(call, n)) {
      if (!is_fallible(call)) continue;
      SCOPED_TRACE(fault.describe());
      close();
      meet(fault, [&] {
        open_with_probe();
        // A failure in the test or the measurement of a variant leaves it out, and the reason says so.
        for (const VariantChoice& choice : backend_->caps().variants)
          if (choice.reason.find(fault.call + "(") != std::string::npos)
            throw Error(kind_of(fault.result), choice.reason);
      });
    }
  reopen();
  expect_right_results();
}

/// Whether the program calls this function to run steps or to wait for them.
bool is_of_execution(const std::string& call) {
  return call == "vkQueueSubmit2" || call == "vkWaitSemaphores" ||
         call == "vkGetSemaphoreCounterValue" || call == "vkGetQueryPoolResults";
}

TEST_F(ExhaustiveModelFailure, IsReportedWhileAModelLives) {
  for (const auto& [call, n] : n_warm_) {
    if (!is_fallible(call) || is_of_execution(call)) continue;
    for (const Fault& fault : faults_of(call, n)) meet_in_life(fault);
    expect_right_results();
  }
}

TEST_F(ExhaustiveModelFailure, IsReportedWhileStepsRun) {
  for (const auto& [call, n] : n_warm_)
    if (is_of_execution(call))
      for (const Fault& fault : faults_of(call, n)) meet_in_life(fault);
  EXPECT_GT(n_failed_backends_, 10);
  expect_right_results();
}

/// Covers the calls that only the first model on a backend makes. Later models use the memory
/// blocks and pipelines of the first model.
TEST_F(ExhaustiveModelFailure, IsReportedWhileTheFirstModelLoads) {
  for (const auto& [call, n] : n_cold_) {
    if (!is_fallible(call) || n_warm_.count(call) != 0 || n == n_opening_[call]) continue;
    reopen();
    meet_in_life({call, n - n_opening_[call], results_of(call)[0]});
    for (const VkResult result : results_of(call)) {
      // Each result needs a new call that fails. After most failures, the next model makes the call
      // again, because the object was not created. After a failure without effect, the object
      // exists, so the backend is reopened.
      if (may_fail(call)) reopen();
      meet_in_life({call, 1, result});
    }
    expect_right_results();
  }
  EXPECT_EQ(n_failed_backends_, 0);
}

TEST_F(ModelFailure, IsReportedWhileADeviceIsClosed) {
  for (const VkResult result : results_of("vkDeviceWaitIdle")) {
    const Fault fault{"vkDeviceWaitIdle", 1, result};
    SCOPED_TRACE(fault.describe());
    std::optional<Life> life;
    life.emplace(*backend_);
    life->start();
    meet(fault, [&] {
      life.reset();  // while its steps are in flight
      close();
    });
    reopen();
  }
}

}  // namespace
}  // namespace bitaxon::vulkan::test
