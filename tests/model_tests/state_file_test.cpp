// Tests of the file of a saved state. A loaded state continues exactly. A damaged file is refused,
// and so is a file of another model, configuration or precision.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <optional>

#include "formats/safetensors.h"
#include "support/errors.h"
#include "support/small_models.h"
#include "support/temporary_folder.h"
#include "support/tensors.h"

namespace bitaxon::test {
namespace {

class StateFile : public testing::Test {
 protected:
  StateFile() : model_dir_(folder_ / "model"), path_(folder_ / "state.safetensors") {
    std::filesystem::create_directory(model_dir_);
    StoredModel stored = random_stored(small_config(), 3);
    write_model(model_dir_, stored);
  }

  OpenModel open(const char* device, int run_ahead = 2) {
    return open_model(device, 1, model_dir_,
                      {.precision = Precision::exact, .run_ahead = run_ahead});
  }

  /// Saves the state of a sequence after its first `n` tokens.
  void save(std::size_t n) {
    OpenModel from = open("reference");
    State state = from.model.new_state();
    if (n > 0) feed_all(from.model, state, std::span(ids_).first(n));
    state.save(path_);
  }

  /// Expects that loading the file fails with an error of this kind, whose message has every
  /// fragment. The state must stay unchanged.
  void expect_refused(ErrorKind kind, std::initializer_list<std::string_view> fragments) {
    OpenModel to = open("cpu");
    State state = to.model.new_state();
    feed_all(to.model, state, std::span(ids_).first(7));
    const StateSnapshot before = state.snapshot();
    expect_error([&] { state.load(path_); }, kind, fragments);
    EXPECT_TRUE(state.snapshot() == before);
  }

  /// Writes the file again with changed metadata. If `keep` is set, writes only the tensors for
  /// which it returns true.
  void rewrite(const std::function<void(std::map<std::string, std::string>&)>& change,
               const std::function<bool(const TensorInfo&)>& keep = {}) {
    const Checkpoint from = Checkpoint::open(path_);
    auto metadata = from.metadata();
    change(metadata);
    std::vector<SafetensorsWriter::Spec> specs;
    std::vector<std::vector<std::byte>> data;
    for (const TensorInfo& tensor : from.tensors()) {
      if (keep && !keep(tensor)) continue;
      specs.push_back({tensor.name, tensor.dtype, tensor.shape});
      data.push_back(read_bytes(from, tensor.name));
    }
    SafetensorsWriter writer(path_, specs, metadata);
    for (const auto& bytes : data) writer.write(bytes);
    writer.commit();
  }

  std::string text() const {
    std::ifstream in(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  TemporaryFolder folder_;
  std::filesystem::path model_dir_;
  std::filesystem::path path_;
  std::vector<std::int32_t> ids_ = random_ids(700, small_config().vocab_size, 10);
};

TEST_F(StateFile, ContinuesOnAnotherBackend) {
  for (const std::size_t n : {0u, 1u, 2u, 15u, 16u, 17u, 60u, 650u}) {
    const auto tail = std::span(ids_).subspan(n, 20);
    std::vector<std::vector<float>> logits;
    for (const auto& [from_name, to_name] :
         {std::pair{"reference", "cpu"}, std::pair{"cpu", "reference"}}) {
      OpenModel from = open(from_name, 2);
      State state = from.model.new_state();
      if (n > 0) feed_all(from.model, state, std::span(ids_).first(n));
      state.save(path_);
      const StateSnapshot saved = state.snapshot();
      OpenModel to = open(to_name, 5);
      State loaded = to.model.new_state();
      feed_all(to.model, loaded, std::span(ids_).first(9));
      loaded.load(path_);
      EXPECT_EQ(loaded.position(), static_cast<std::int64_t>(n));
      EXPECT_TRUE(loaded.snapshot() == saved) << n;
      logits.push_back(feed_all(from.model, state, tail));
      logits.push_back(feed_all(to.model, loaded, tail));
    }
    // The bound allows for exact kernels that compute in different orders.
    for (const auto& other : logits) EXPECT_LT(relative_l2(other, logits[0]), 5e-5) << n;
  }
}

TEST_F(StateFile, TheSameStateGivesTheSameFile) {
  save(50);
  const std::string first = text();
  save(50);
  EXPECT_EQ(text(), first);
}

TEST_F(StateFile, WorksWithoutConvolutionRowsOrAttention) {
  BitAxonConfig config = small_config();
  config.ssm_d_conv = 1;
  config.num_layers = 2;
  OpenModel open = open_random("cpu", 1, config, {.precision = Precision::exact, .run_ahead = 1});
  State state = open.model.new_state();
  feed_all(open.model, state, std::span(ids_).first(20));
  state.save(path_);
  State other = std::move(state);
  const StateSnapshot saved = other.snapshot();
  other.reset();
  other.load(path_);
  EXPECT_TRUE(other.snapshot() == saved);
}

TEST_F(StateFile, OfAnotherModelIsRefused) {
  StoredModel stored = random_stored(small_config(), 3);
  stored.tensors["layer_0.input_norm.weight"].values[3] += 1.0F;
  const auto other_dir = folder_ / "other";
  std::filesystem::create_directory(other_dir);
  write_model(other_dir, stored);
  OpenModel other =
      open_model("cpu", 1, other_dir, {.precision = Precision::exact, .run_ahead = 2});
  State state = other.model.new_state();
  feed_all(other.model, state, std::span(ids_).first(5));
  state.save(path_);
  expect_refused(ErrorKind::format, {path_.string(), "another model"});
}

TEST_F(StateFile, OfAnotherConfigurationIsRefused) {
  StoredModel stored = random_stored(small_config(), 3);
  stored.config.max_seq_len = 100;
  write_text(model_dir_ / "config.json", stored.config.to_json());
  save(5);
  write_text(model_dir_ / "config.json", small_config().to_json());
  expect_refused(ErrorKind::format, {path_.string(), "another model"});
}

TEST_F(StateFile, OfAnotherPrecisionIsRefused) {
  OpenModel fast =
      open_random("cpu", 1, small_config(), {.precision = Precision::fast, .run_ahead = 2});
  OpenModel exact =
      open_random("cpu", 1, small_config(), {.precision = Precision::exact, .run_ahead = 2});
  State from = fast.model.new_state();
  feed_all(fast.model, from, std::span(ids_).first(5));
  from.save(path_);
  State to = exact.model.new_state();
  expect_error([&] { to.load(path_); }, ErrorKind::format,
               {path_.string(), "precision", "expected exact", "got fast"});
  to.save(path_);
  expect_error([&] { from.load(path_); }, ErrorKind::format,
               {path_.string(), "precision", "expected fast", "got exact"});
}

TEST_F(StateFile, ADamagedByteInAnyTensorIsDetected) {
  save(60);
  const std::string good = text();
  std::vector<TensorInfo> tensors;
  {
    const Checkpoint file = Checkpoint::open(path_);
    tensors.assign(file.tensors().begin(), file.tensors().end());
  }
  ASSERT_EQ(tensors.size(), 13u);  // two tensors per layer for six layers, and the tensor "seen"
  for (const TensorInfo& tensor : tensors) {
    ASSERT_GT(tensor.size_bytes, 0u);
    for (const std::uint64_t at :
         {std::uint64_t{0}, tensor.size_bytes / 2, tensor.size_bytes - 1}) {
      std::string bad = good;
      bad[tensor.offset_bytes + at] = static_cast<char>(bad[tensor.offset_bytes + at] ^ 0x10);
      write_text(path_, bad);
      expect_refused(ErrorKind::format, {path_.string(), "damaged"});
    }
  }
}

TEST_F(StateFile, ATruncatedFileIsRefused) {
  save(60);
  const std::string good = text();
  for (const std::size_t n :
       {std::size_t{0}, std::size_t{7}, std::size_t{100}, good.size() / 2, good.size() - 1}) {
    write_text(path_, good.substr(0, n));
    expect_refused(ErrorKind::format, {path_.string()});
  }
  write_text(path_, good + "x");
  expect_refused(ErrorKind::format, {path_.string()});
}

TEST_F(StateFile, AFileThatIsNotAStateIsRefused) {
  write_text(path_, "once upon a time there was a state, but it was in another castle");
  expect_refused(ErrorKind::format, {path_.string()});
  std::filesystem::copy_file(model_dir_ / "model.safetensors", path_,
                             std::filesystem::copy_options::overwrite_existing);
  expect_refused(ErrorKind::format, {path_.string(), "not a saved state"});
  std::filesystem::remove(path_);
  expect_refused(ErrorKind::io, {path_.string()});
  std::filesystem::create_directory(path_);
  expect_refused(ErrorKind::format, {path_.string(), "directory"});
  path_ = folder_ / std::string(300, 'x');  // no system allows such a long file name
  expect_refused(ErrorKind::io, {"xxx"});
}

TEST_F(StateFile, WrongMetadataIsRefused) {
  struct Case {
    const char* key;
    const char* value;  ///< nullptr: without this key
    std::vector<std::string> fragments;
  };
  const Case cases[] = {
      {"format", "bit-axon model", {"not a saved state", "bit-axon model"}},
      {"format", nullptr, {"not a saved state", "none"}},
      {"version", "2", {"version", "expected 1", "got 2"}},
      {"version", nullptr, {"version", "none"}},
      {"model", "0123456789abcdef", {"another model", "0123456789abcdef"}},
      {"precision", "fast", {"precision", "expected exact", "got fast"}},
      {"tokens", "65537", {"token count", "0..65536", "got 65537"}},
      {"tokens", "-1", {"token count", "got -1"}},
      {"tokens", "61", {"checksum"}},
      {"tokens", "5", {"keys", "[5, 24]", "[16, 24]"}},
      {"tokens", "60 ", {"token count", "got 60"}},
      {"tokens", "99999999999999999999999", {"token count", "999"}},
      {"tokens", "", {"token count"}},
      {"tokens", nullptr, {"token count", "none"}},
      {"checksum", "0000000000000000", {"damaged", "0000000000000000"}},
      {"checksum", nullptr, {"damaged", "none"}},
  };
  for (const Case& one : cases) {
    save(60);
    rewrite([&](auto& metadata) {
      if (one.value == nullptr)
        metadata.erase(one.key);
      else
        metadata[one.key] = one.value;
    });
    expect_refused(ErrorKind::format, {path_.string()});
    for (const std::string& fragment : one.fragments) expect_refused(ErrorKind::format, {fragment});
  }
}

TEST_F(StateFile, AMissingTensorIsNamed) {
  for (const char* name :
       {"layer_0.conv_tail", "layer_2.keys", "layer_3.values", "layer_5.h", "seen"}) {
    save(60);
    rewrite([](auto&) {}, [&](const TensorInfo& tensor) { return tensor.name != name; });
    expect_refused(ErrorKind::format, {path_.string(), name, "got none"});
  }
}

TEST_F(StateFile, SavingToAnImpossiblePathIsAnError) {
  OpenModel from = open("cpu");
  State state = from.model.new_state();
  feed_all(from.model, state, std::span(ids_).first(5));
  const auto nowhere = folder_ / "nowhere" / "state";
  expect_error([&] { state.save(nowhere); }, ErrorKind::io, {"nowhere"});
  std::filesystem::create_directory(folder_ / "taken");
  expect_error([&] { state.save(folder_ / "taken"); }, ErrorKind::io, {"taken"});
  expect_error([&] { state.save(folder_ / std::string(300, 'x')); }, ErrorKind::io, {"xxx"});
}

}  // namespace
}  // namespace bitaxon::test
