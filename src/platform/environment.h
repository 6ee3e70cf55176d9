// The environment of this process, for its own libraries and for programs that it starts.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace bitaxon {

/// By name; empty: the variable is taken out.
using EnvironmentChanges = std::map<std::string, std::optional<std::string>>;

/// The variables of this process as "NAME=VALUE", changed.
std::vector<std::string> environment_with(const EnvironmentChanges& changes);

/// Pointers to `texts` with a null at the end, as exec and the environment want them.
std::vector<char*> null_terminated(std::vector<std::string>& texts);

/// Changes variables of this process while it lives; no change where `changes` is empty.
///
/// setenv() is not safe beside getenv() of another thread, because it may move the list of
/// variables. Here a second list takes the place of the first one in one step, and both stay in
/// memory for good, so that a thread reads one of them whole. If another thread calls setenv()
/// meanwhile, its variable may be lost or the changes may stay, but nothing crashes. Two objects
/// never live at once: the second waits for the end of the first.
class ChangedEnvironment {
 public:
  explicit ChangedEnvironment(const EnvironmentChanges& changes);
  ChangedEnvironment(const ChangedEnvironment&) = delete;
  ChangedEnvironment& operator=(const ChangedEnvironment&) = delete;
  ~ChangedEnvironment();

 private:
  char** before_ = nullptr;
  char** during_ = nullptr;  ///< null: nothing was changed
};

}  // namespace bitaxon
