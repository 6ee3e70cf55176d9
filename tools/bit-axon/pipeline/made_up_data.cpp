#include "pipeline/made_up_data.h"

#include <algorithm>
#include <functional>
#include <random>

#include "formats/json.h"

namespace bitaxon::tool {
namespace {

/// As many examples as the original Bit-Axon makes up.
constexpr int kExamples = 50;
/// Longer examples would only cost time.
constexpr std::int64_t kMostLetters = 4096;

class Letters {
 public:
  explicit Letters(std::uint64_t seed) : random_(seed) {}

  std::string operator()(std::int64_t n) {
    std::string text(static_cast<std::size_t>(std::clamp(n, std::int64_t{1}, kMostLetters)), ' ');
    constexpr std::uint64_t kLetters = 26;
    for (char& c : text) c = static_cast<char>('a' + random_() % kLetters);
    return text;
  }

 private:
  std::mt19937_64 random_;
};

std::string lines_of(const std::function<Json()>& row) {
  std::string lines;
  for (int i = 0; i < kExamples; ++i) lines += row().dump() + "\n";
  return lines;
}

}  // namespace

std::string made_up_texts(std::int64_t n_letters, std::uint64_t seed) {
  Letters letters(seed);
  return lines_of([&] {
    Json row = Json::object();
    row["text"] = letters(n_letters);
    return row;
  });
}

std::string made_up_pairs(std::int64_t n_letters, std::uint64_t seed) {
  Letters letters(seed);
  // The prompt is short, because the tokens of a chat take room of the row too.
  constexpr std::int64_t kPart = 8;
  return lines_of([&] {
    return Json{{"prompt", letters(n_letters / kPart)},
                {"chosen", letters(n_letters)},
                {"rejected", letters(n_letters)}};
  });
}

}  // namespace bitaxon::tool
