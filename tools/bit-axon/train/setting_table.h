// The settings of a command that come from flags, from a JSON file or from a checkpoint. They have
// the same names everywhere.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "flags.h"
#include "formats/json.h"

namespace bitaxon::tool {

class SettingTable {
 public:
  explicit SettingTable(Command& command) : command_(command) {}

  /// Adds a flag. Its setting has the name of its long flag: "lora-rank" for "--lora-rank".
  Flag add(const std::string& names, std::string& value, const std::string& help);
  Flag add(const std::string& names, bool& value, const std::string& help);
  /// Makes a setting of a flag that was added elsewhere. Another value than the present one means
  /// that the flag was given.
  void watch(const std::string& name, std::string& value);

  /// Leaves a setting out of values(), because it says nothing about the run.
  void forget(std::string_view name);

  /// Whether there is a setting of this name.
  bool has(std::string_view name) const;
  bool is_set(std::string_view name) const;
  /// Sets the settings that are not set yet. `from` is an object with names of settings; "_" in a
  /// name means "-". `file` begins messages. Throws UsageError that names an unknown setting, or one
  /// whose value is of the wrong type.
  void fill(const Json& from, const std::string& file);
  /// Sets one setting if it is not set yet.
  void fill(std::string_view name, const std::string& value);
  /// All settings that are kept: numbers where the text is a number, and null where it is empty.
  Json values() const;

 private:
  struct Setting {
    std::string name;
    std::string* text = nullptr;
    bool* is_on = nullptr;
    std::vector<Flag> flag = {};  ///< the flag, or nothing for a watched setting
    std::string otherwise = {};   ///< the value of a watched setting that is not given
    bool is_filled = false;
    bool is_kept = true;
  };
  Setting* find(std::string_view name);
  static bool is_set(const Setting& setting);

  Command& command_;
  std::vector<Setting> settings_;
};

}  // namespace bitaxon::tool
