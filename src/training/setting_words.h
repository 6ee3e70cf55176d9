// The words that are values of settings, for flags, files of settings and Python.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bitaxon/error.h"
#include "bitaxon/train.h"
#include "platform/printable.h"
#include "training/data/batches.h"
#include "training/data/dataset.h"

namespace bitaxon {

template <class T, std::size_t n>
using SettingWords = std::array<std::pair<std::string_view, T>, n>;

inline constexpr SettingWords<Objective, 2> kObjectiveWords = {
    {{"sft", Objective::sft}, {"orpo", Objective::orpo}}};
inline constexpr SettingWords<OrpoPenalty, 2> kPenaltyWords = {
    {{"inside", OrpoPenalty::inside}, {"outside", OrpoPenalty::outside}}};
/// Of grad-checkpoint: whether activations are computed again.
inline constexpr SettingWords<bool, 2> kRecomputeWords = {{{"block", true}, {"off", false}}};
inline constexpr SettingWords<LearningRateSchedule, 3> kScheduleWords = {
    {{"cosine", LearningRateSchedule::cosine},
     {"linear", LearningRateSchedule::linear},
     {"constant", LearningRateSchedule::constant}}};
inline constexpr SettingWords<Packing, 3> kPackingWords = {
    {{"isolated", Packing::isolated}, {"concat", Packing::concat}, {"none", Packing::none}}};
inline constexpr SettingWords<TrainOn, 3> kTrainOnWords = {
    {{"assistant", TrainOn::assistant}, {"last", TrainOn::last}, {"all", TrainOn::all}}};
inline constexpr SettingWords<MaskStyle, 2> kMaskWords = {
    {{"content", MaskStyle::content}, {"like-original", MaskStyle::like_original}}};
inline constexpr SettingWords<Unmapped, 2> kUnmappedWords = {
    {{"error", Unmapped::error}, {"skip", Unmapped::skip}}};

/// The value of a word. Throws Error(invalid_argument) that begins with `setting` and lists the words.
template <class T, std::size_t n>
T value_of_word(const SettingWords<T, n>& words, std::string_view setting, std::string_view text) {
  std::vector<std::string_view> names;
  for (const auto& [name, value] : words) {
    if (text == name) return value;
    names.push_back(name);
  }
  throw Error(ErrorKind::invalid_argument,
              fmt::format("{}: expected {}, got \"{}\"", setting, fmt::join(names, " or "),
                          printable(std::string(text))));
}

}  // namespace bitaxon
