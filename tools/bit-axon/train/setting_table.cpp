#include "train/setting_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "console.h"
#include "platform/printable.h"

namespace bitaxon::tool {
namespace {

/// "lora-rank" for "-r,--lora-rank".
std::string name_in(const std::string& names) { return names.substr(names.find("--") + 2); }

/// A number if the text is one, null if it is empty.
Json typed(const std::string& text) {
  if (text.empty()) return nullptr;
  const char* end = text.data() + text.size();
  std::int64_t whole = 0;
  const auto in_whole = std::from_chars(text.data(), end, whole);
  if (in_whole.ptr == end) return in_whole.ec == std::errc() ? Json(whole) : Json(text);
  double number = 0;
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return text;
  // 20 and 20.0 are the same setting.
  if (std::abs(number) < 1e15 && std::trunc(number) == number)
    return static_cast<std::int64_t>(number);
  return finite_or_null(number);
}

/// The value as the text of a flag. Empty for a value that no flag can have.
std::optional<std::string> flag_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return typed(value.dump()).dump();  // 8.0 is 8
  if (value.is_number()) return value.dump();
  if (!value.is_array()) return std::nullopt;
  std::string text;
  for (const Json& part : value) {
    if (!part.is_string()) return std::nullopt;
    text += (text.empty() ? "" : ",") + part.get<std::string>();
  }
  return text;
}

}  // namespace

Flag SettingTable::add(const std::string& names, std::string& value, const std::string& help) {
  const Flag flag = command_.add(names, value, help);
  settings_.push_back({.name = name_in(names), .text = &value, .flag = {flag}});
  return flag;
}

Flag SettingTable::add(const std::string& names, bool& value, const std::string& help) {
  const Flag flag = command_.add(names, value, help);
  settings_.push_back({.name = name_in(names), .is_on = &value, .flag = {flag}});
  return flag;
}

void SettingTable::forget(std::string_view name) { find(name)->is_kept = false; }

void SettingTable::watch(const std::string& name, std::string& value) {
  settings_.push_back({.name = name, .text = &value, .otherwise = value});
}

SettingTable::Setting* SettingTable::find(std::string_view name) {
  const auto found = std::ranges::find(settings_, name, &Setting::name);
  return found == settings_.end() ? nullptr : &*found;
}

bool SettingTable::has(std::string_view name) const {
  return std::ranges::find(settings_, name, &Setting::name) != settings_.end();
}

bool SettingTable::is_set(const Setting& setting) {
  if (setting.is_filled) return true;
  return setting.flag.empty() ? *setting.text != setting.otherwise
                              : setting.flag.front().is_given();
}

bool SettingTable::is_set(std::string_view name) const {
  const auto found = std::ranges::find(settings_, name, &Setting::name);
  return found != settings_.end() && is_set(*found);
}

void SettingTable::fill(std::string_view name, const std::string& value) {
  Setting& setting = *find(name);
  if (is_set(setting)) return;
  *setting.text = value;
  setting.is_filled = true;
}

void SettingTable::fill(const Json& from, const std::string& file) {
  std::set<std::string> names;
  for (const auto& [key, value] : from.items()) {
    std::string name = key;
    std::ranges::replace(name, '_', '-');
    if (!names.insert(name).second)
      throw UsageError(
          fmt::format("{}: {}: expected it once, got it also with - or _ for the other", file,
                      printable(key, 60)));
    Setting* setting = find(name);
    if (setting == nullptr)
      throw UsageError(fmt::format("{}: expected names of flags of this command, got \"{}\"", file,
                                   printable(key, 60)));
    if (is_set(*setting) || value.is_null()) continue;
    const std::optional<std::string> text = flag_text(value);
    const bool fits = setting->is_on != nullptr ? value.is_boolean() : text.has_value();
    if (!fits)
      throw UsageError(
          fmt::format("{}: {}: expected {}, got {}", file, printable(key, 60),
                      setting->is_on != nullptr ? "true or false" : "a text or a number",
                      printable_json(value)));
    if (setting->is_on != nullptr)
      *setting->is_on = value.get<bool>();
    else
      *setting->text = *text;
    setting->is_filled = true;
  }
}

Json SettingTable::values() const {
  Json values = Json::object();
  for (const Setting& setting : settings_)
    if (setting.is_kept)
      values[setting.name] = setting.is_on != nullptr ? Json(*setting.is_on) : typed(*setting.text);
  return values;
}

}  // namespace bitaxon::tool
