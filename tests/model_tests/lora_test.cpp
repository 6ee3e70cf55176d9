// Compares merged adapters with a float64 computation of the formulas.
#include "model/lora.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "bitaxon/error.h"
#include "format_tests/stored_tensor.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"

namespace bitaxon::test {
namespace {

constexpr const char* kTarget = "layer_0.ssm.in_proj";

class LoraTest : public testing::Test {
 protected:
  LoraTest() {
    for (WeightSlot& slot : weight_slots(config_.spec())) {
      FoundWeight weight;
      weight.slot = std::move(slot);
      weights_.push_back(std::move(weight));
    }
  }

  Adapter read(const std::map<std::string, NamedTensor>& tensors) {
    write_tensors(folder_ / "adapter.safetensors", tensors);
    file_.emplace(Checkpoint::open(folder_ / "adapter.safetensors"));
    return read_from(*file_);
  }
  Adapter read_from(const Checkpoint& file) {
    const AdapterLayout layout = layout_of_adapter(file);
    return read_adapter(
        file, layout,
        read_adapter_config(folder_ / "adapter.safetensors", file.metadata(), layout, {}), weights_,
        warnings_);
  }

  std::int64_t n_in() const { return config_.hidden_dim; }
  std::int64_t n_out() const { return 2 * config_.d_inner(); }
  std::map<std::string, NamedTensor> pair(std::int64_t rank) const {
    return {{std::string(kTarget) + ".lora_a", random_tensor({n_in(), rank}, 1)},
            {std::string(kTarget) + ".lora_b", random_tensor({rank, n_out()}, 2)}};
  }
  /// Expects that an adapter with these tensors is refused, and that the message has every
  /// fragment.
  void expect_refused(const std::map<std::string, NamedTensor>& tensors,
                      std::initializer_list<std::string_view> fragments) {
    expect_error([&] { read(tensors); }, ErrorKind::format, fragments);
  }

  TemporaryFolder folder_;
  BitAxonConfig config_ = small_config();
  std::vector<FoundWeight> weights_;
  std::optional<Checkpoint> file_;
  std::vector<std::string> warnings_;
};

TEST_F(LoraTest, AgreesWithTheFormulasInFloat64) {
  for (const std::int64_t rank : {std::int64_t{1}, std::int64_t{8}}) {
    for (const bool dora : {false, true}) {
      auto tensors = pair(rank);
      if (dora) tensors[std::string(kTarget) + ".m"] = random_tensor({n_out()}, 3);
      const Adapter adapter = read(tensors);
      const LoraLayers& layers = adapter.weights.at(std::string(kTarget) + ".weight");
      EXPECT_EQ(layers.at(0).rank, rank);
      const NamedTensor base = random_tensor({n_out(), n_in()}, 4);
      const double scale = layers.at(0).scale;
      EXPECT_EQ(scale, 20);

      std::vector<float> merged = base.values;
      const ChangeRows change = change_of(layers, n_out());
      // The adapter changes three rows at a time.
      const auto piece = static_cast<std::size_t>(3 * n_in());
      for (std::size_t at = 0; at < merged.size(); at += piece)
        change(static_cast<std::int64_t>(at) / n_in(),
               std::span(merged).subspan(at, std::min(piece, merged.size() - at)));

      const auto& a = tensors[std::string(kTarget) + ".lora_a"].values;
      const auto& b = tensors[std::string(kTarget) + ".lora_b"].values;
      for (std::int64_t o = 0; o < n_out(); ++o) {
        std::vector<double> row;
        for (std::int64_t i = 0; i < n_in(); ++i) {
          double sum = 0;
          for (std::int64_t r = 0; r < rank; ++r)
            sum += double{a[static_cast<std::size_t>(i * rank + r)]} *
                   double{b[static_cast<std::size_t>(r * n_out() + o)]};
          row.push_back(double{base.values[static_cast<std::size_t>(o * n_in() + i)]} +
                        scale * sum);
        }
        double length = 0;
        for (const double value : row) length += value * value;
        for (std::int64_t i = 0; i < n_in(); ++i) {
          double expected = row[static_cast<std::size_t>(i)];
          if (dora)
            expected *=
                double{tensors[std::string(kTarget) + ".m"].values[static_cast<std::size_t>(o)]} /
                std::sqrt(length);
          ASSERT_NEAR(merged[static_cast<std::size_t>(o * n_in() + i)], expected,
                      1e-6 * std::abs(expected) + 1e-12)
              << o << ", " << i;
        }
      }
    }
  }
}

TEST_F(LoraTest, IgnoresFrozenWeightsInAnAdapterFile) {
  auto tensors = pair(2);
  for (const char* part : {"weight", "bias", "scales", "biases", "weight.absmax"})
    tensors[fmt::format("{}.linear.{}", kTarget, part)] = random_tensor({4}, 5);
  EXPECT_EQ(read(tensors).weights.size(), 1U);
}

TEST_F(LoraTest, AcceptsTensorNamesWithThePrefixOfAWrapper) {
  std::map<std::string, NamedTensor> wrapped;
  for (auto& [name, tensor] : pair(2)) wrapped["inner." + name] = tensor;
  const Adapter adapter = read(wrapped);
  ASSERT_EQ(adapter.weights.size(), 1U);
  EXPECT_EQ(adapter.weights.begin()->first, std::string(kTarget) + ".weight");
  EXPECT_EQ(adapter.weights.begin()->second.at(0).rank, 2);
}

TEST_F(LoraTest, IgnoresTensorsThatAreNotFloats) {
  std::vector<StoredTensor> tensors;
  for (const auto& [name, tensor] : pair(2))
    tensors.push_back(stored<float>(name, DType::f32, tensor.shape, tensor.values));
  for (const char* type : {"U64", "BOOL", "I8"})
    tensors.push_back(zeros(std::string("step.") + type, StoredType::named(type).value(), {}));
  write_checkpoint(folder_ / "adapter.safetensors", tensors);
  const Checkpoint file = Checkpoint::open(folder_ / "adapter.safetensors");
  EXPECT_EQ(read_from(file).weights.size(), 1U);
  ASSERT_EQ(warnings_.size(), 1U);
  for (const char* name : {"adapter.safetensors", "\"step.U64\"", "\"step.BOOL\"", "\"step.I8\""})
    EXPECT_NE(warnings_[0].find(name), std::string::npos) << warnings_[0];
  // A tensor that adapts a layer must hold floats.
  tensors[0].dtype = DType::i32;
  write_checkpoint(folder_ / "adapter.safetensors", tensors);
  expect_error([&] { read_from(Checkpoint::open(folder_ / "adapter.safetensors")); },
               ErrorKind::format, {tensors[0].name, "expected F32, F16 or BF16", "got I32"});
}

TEST_F(LoraTest, NamesTheLayoutsOfOtherTools) {
  const std::string kohya = "lora_unet_in_proj.lora_down.weight";
  expect_error(
      [&] {
        read({{kohya, random_tensor({2, n_in()}, 1)}});
      },
      ErrorKind::unsupported, {kohya, "kohya"});
}

TEST_F(LoraTest, NamesTensorsThatDoNotFit) {
  auto alone = pair(2);
  alone.erase(std::string(kTarget) + ".lora_b");
  expect_refused(alone, {"layer_0.ssm.in_proj.lora_a", "layer_0.ssm.in_proj.lora_b"});

  auto other_rank = pair(2);
  other_rank[std::string(kTarget) + ".lora_b"] = random_tensor({3, n_out()}, 2);
  expect_refused(other_rank, {"layer_0.ssm.in_proj.lora_b", "[2, ", "[3, "});

  auto other_rows = pair(2);
  other_rows[std::string(kTarget) + ".m"] = random_tensor({n_out() + 1}, 2);
  expect_refused(other_rows, {"layer_0.ssm.in_proj.m"});

  auto not_finite = pair(2);
  not_finite[std::string(kTarget) + ".lora_a"].values[5] = std::nanf("");
  expect_refused(not_finite, {"layer_0.ssm.in_proj.lora_a", "finite"});

  for (const std::string path : {"layer_99.ssm.in_proj", "layer_0.ssm.dt_proj",
                                 "layer_0.ssm.conv1d", "layer_4.moe.experts.0.gate_proj"}) {
    auto unmatched = pair(2);
    unmatched[path + ".lora_a"] = random_tensor({4, 2}, 1);
    unmatched[path + ".lora_b"] = random_tensor({2, 4}, 1);
    expect_refused(unmatched, {path + ".lora_a", path + ".lora_b"});
  }
  expect_refused({{"what", random_tensor({2}, 1)}}, {"\"what\""});

  auto no_part = pair(2);
  no_part[std::string(kTarget) + ".linear.zzz"] = random_tensor({2}, 1);
  expect_refused(no_part, {"\"layer_0.ssm.in_proj.linear.zzz\""});

  auto many = pair(2);
  for (int i = 10; i < 30; ++i) many[fmt::format("x{}", i)] = random_tensor({2}, 1);
  expect_refused(many, {"\"x10\"", "\"x18\"", "\"x29\""});
}

}  // namespace
}  // namespace bitaxon::test
