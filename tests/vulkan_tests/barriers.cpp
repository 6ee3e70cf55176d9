#include "vulkan_tests/barriers.h"

#include <fmt/format.h>

#include <mutex>

#include "vulkan_tests/layers.h"

namespace bitaxon::test {
namespace {

// A hook has no data of its own. Only one backend with this hook is open at a time.
BarrierWatch* watch = nullptr;
PFN_vkBeginCommandBuffer begin_command_buffer = nullptr;
PFN_vkEndCommandBuffer end_command_buffer = nullptr;
PFN_vkCmdPipelineBarrier2 pipeline_barrier = nullptr;
PFN_vkCmdBeginDebugUtilsLabelEXT begin_label = nullptr;

/// Whether a barrier is one between launches. Barriers for copies and for the host are others.
bool is_between_launches(const VkDependencyInfo& info) {
  return info.memoryBarrierCount == 1 &&
         (info.pMemoryBarriers[0].dstStageMask & VK_PIPELINE_STAGE_2_COMPUTE_SHADER_BIT) != 0;
}

VKAPI_ATTR VkResult VKAPI_CALL begin_and_note(VkCommandBuffer commands,
                                              const VkCommandBufferBeginInfo* info) {
  if (watch != nullptr) watch->begin_commands();
  return begin_command_buffer(commands, info);
}

VKAPI_ATTR VkResult VKAPI_CALL end_and_note(VkCommandBuffer commands) {
  const VkResult result = end_command_buffer(commands);
  if (watch != nullptr) watch->end_interval();
  return result;
}

VKAPI_ATTR void VKAPI_CALL barrier_unless_left_out(VkCommandBuffer commands,
                                                   const VkDependencyInfo* info) {
  if (watch != nullptr && is_between_launches(*info) && !watch->keeps_barrier()) return;
  pipeline_barrier(commands, info);
}

VKAPI_ATTR void VKAPI_CALL note_label(VkCommandBuffer commands, const VkDebugUtilsLabelEXT* label) {
  if (watch != nullptr) watch->begin_launch(label->pLabelName);
  begin_label(commands, label);
}

/// Puts `replacement` into the table, unless it is there already.
template <class Function>
void replace(Function& member, Function& original, Function replacement) {
  if (member == nullptr || member == replacement) return;
  original = member;
  member = replacement;
}

}  // namespace

BarrierWatch::BarrierWatch(vulkan::Messages& messages, std::function<bool(int number)> leaves_out)
    : messages_(messages), leaves_out_(std::move(leaves_out)) {
  watch = this;
}

BarrierWatch::~BarrierWatch() { watch = nullptr; }

void BarrierWatch::begin_commands() { n_in_commands_ = 0; }

bool BarrierWatch::keeps_barrier() {
  end_interval();
  const int number = n_in_commands_++;
  if (number > 0) ++n_inner_;
  if (!leaves_out_(number)) return true;
  left_out_.push_back({fmt::format("barrier {}", number), {}});
  is_open_ = true;
  is_named_ = false;
  const std::lock_guard lock(messages_.mutex);
  first_message_ = messages_.lines.size();
  return false;
}

void BarrierWatch::begin_launch(const char* label) {
  if (!is_open_ || is_named_) return;
  left_out_.back().where += fmt::format(", before {}", label);
  is_named_ = true;
}

void BarrierWatch::end_interval() {
  if (!is_open_) return;
  is_open_ = false;
  const std::lock_guard lock(messages_.mutex);
  left_out_.back().messages.assign(
      messages_.lines.begin() + static_cast<std::ptrdiff_t>(first_message_), messages_.lines.end());
}

void hook_barriers(vulkan::Functions& functions) {
  if (environment_enables("GPU_ASSISTED")) answer_for_semaphores(functions);
  replace(functions.vkBeginCommandBuffer, begin_command_buffer, &begin_and_note);
  replace(functions.vkEndCommandBuffer, end_command_buffer, &end_and_note);
  replace(functions.vkCmdPipelineBarrier2, pipeline_barrier, &barrier_unless_left_out);
  replace(functions.vkCmdBeginDebugUtilsLabelEXT, begin_label, &note_label);
}

}  // namespace bitaxon::test
