// The environment variables of this process, for its libraries and for programs that it starts.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bitaxon {

/// The new value of each variable. std::nullopt removes the variable.
using EnvironmentChanges = std::map<std::string, std::optional<std::string>>;

/// The variables of this process as "NAME=VALUE", with the changes applied.
std::vector<std::string> environment_with(const EnvironmentChanges& changes);

/// Pointers to the texts, followed by a null pointer, as exec() and `environ` need them.
std::vector<char*> null_terminated(std::vector<std::string>& texts);

/// Changes variables of this process while the object lives. Does nothing when `changes` is empty.
///
/// setenv() is not safe while another thread calls getenv(), because it may move the list of
/// variables. This class replaces the list by a second list in one atomic step. Both lists stay in
/// memory for good, so every thread reads a complete list. If another thread calls setenv()
/// meanwhile, its variable may be lost or the changes may stay, but nothing crashes. Two objects
/// never live at once: the second one waits until the first is destroyed.
class ChangedEnvironment {
 public:
  explicit ChangedEnvironment(const EnvironmentChanges& changes);
  ChangedEnvironment(const ChangedEnvironment&) = delete;
  ChangedEnvironment& operator=(const ChangedEnvironment&) = delete;
  ~ChangedEnvironment();

 private:
  char** before_ = nullptr;
  char** during_ = nullptr;  ///< null if nothing was changed
};

}  // namespace bitaxon
