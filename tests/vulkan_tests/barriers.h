// Leaves out barriers between the launches of a step, and collects what validation layers say about
// it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "vulkan/device/functions.h"
#include "vulkan/device/instance.h"

namespace bitaxon::test {

/// A barrier that was left out.
struct LeftOutBarrier {
  std::string where;  ///< "barrier 3, before layer_1 ssm_in: ssm_in_vec"
  /// What the layers said from this barrier to the next one, or to the end of the command buffer.
  std::vector<std::string> messages;
};

/// As long as an object of this class lives, it decides about the barriers of the steps that are
/// recorded by a backend with the hook `hook_barriers`. Only one object may live at a time.
class BarrierWatch {
 public:
  /// `leaves_out` is called for each barrier with its number in its command buffer. Barrier 0 is at
  /// the beginning and waits for earlier submissions. `messages` receives the messages of the layers.
  BarrierWatch(vulkan::Messages& messages, std::function<bool(int number)> leaves_out);
  BarrierWatch(const BarrierWatch&) = delete;
  BarrierWatch& operator=(const BarrierWatch&) = delete;
  ~BarrierWatch();

  /// The barriers of all command buffers, without the first one of each.
  int n_inner() const { return n_inner_; }
  /// The barriers that were left out, in the order of recording.
  const std::vector<LeftOutBarrier>& left_out() const { return left_out_; }

  // The hooked functions call these.
  void begin_commands();
  /// Returns whether the barrier stays.
  bool keeps_barrier();
  void begin_launch(const char* label);
  void end_interval();

 private:
  vulkan::Messages& messages_;
  std::function<bool(int number)> leaves_out_;
  int n_in_commands_ = 0;
  int n_inner_ = 0;
  bool is_open_ = false;  ///< whether the latest barrier was left out, and no other has followed
  bool is_named_ = false;
  std::size_t first_message_ = 0;
  std::vector<LeftOutBarrier> left_out_;
};

/// VulkanOptions::hook of a backend whose barriers are watched. It also does what the hook of
/// test_options() does.
void hook_barriers(vulkan::Functions& functions);

}  // namespace bitaxon::test
