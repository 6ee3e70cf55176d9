#include "platform/environment.h"

#include <unistd.h>

#include <atomic>
#include <list>
#include <mutex>

namespace bitaxon {
namespace {

std::mutex one_change;

struct VariableList {
  std::vector<std::string> texts;
  std::vector<char*> pointers;
};

/// The lists that this process has made. They are never freed, because another thread may still
/// read a string that getenv() returned.
std::list<VariableList>& kept_lists() {
  static auto* lists = new std::list<VariableList>;
  return *lists;
}

/// The list of variables with these changes applied. If an earlier call made an equal list, returns
/// that list.
char** list_with(const EnvironmentChanges& changes) {
  VariableList list;
  list.texts = environment_with(changes);
  for (VariableList& kept : kept_lists())
    if (kept.texts == list.texts) return kept.pointers.data();
  VariableList& kept = kept_lists().emplace_back(std::move(list));
  kept.pointers = null_terminated(kept.texts);
  return kept.pointers.data();
}

std::atomic_ref<char**> current_list() { return std::atomic_ref<char**>(environ); }

}  // namespace

std::vector<std::string> environment_with(const EnvironmentChanges& changes) {
  std::vector<std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    if (!changes.contains(variable.substr(0, variable.find('=')))) variables.push_back(variable);
  }
  for (const auto& [name, value] : changes)
    if (value) variables.push_back(name + "=" + *value);
  return variables;
}

std::vector<char*> null_terminated(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

ChangedEnvironment::ChangedEnvironment(const EnvironmentChanges& changes) {
  if (changes.empty()) return;
  one_change.lock();
  try {
    during_ = list_with(changes);
  } catch (...) {  // out of memory
    one_change.unlock();
    throw;
  }
  before_ = current_list().exchange(during_);
}

ChangedEnvironment::~ChangedEnvironment() {
  if (during_ == nullptr) return;
  // If another thread has called setenv() since the constructor, the list of that thread stays.
  char** expected = during_;
  current_list().compare_exchange_strong(expected, before_);
  one_change.unlock();
}

}  // namespace bitaxon
