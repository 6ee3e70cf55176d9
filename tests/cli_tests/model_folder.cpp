#include "model_folder.h"

#include <cstring>
#include <limits>
#include <stdexcept>

#include "support/tensors.h"

namespace bitaxon::test {

namespace fs = std::filesystem;

fs::path golden_model(const std::string& folder) {
  const fs::path file = golden_dir() / folder / "model.safetensors";
  return fs::exists(file) ? file : bundled_model_dir();
}

Checkpoint golden_io(const std::string& folder) {
  return Checkpoint::open(golden_dir() / folder / "io.safetensors");
}

void copy_model(const fs::path& from, const fs::path& to) {
  fs::create_directories(to);
  for (const char* name : {"config.json", "model.safetensors", "tokenizer.json"})
    if (fs::exists(from / name)) {
      fs::copy_file(from / name, to / name);
      // The source tree may be read-only, but the tests change the copied files.
      fs::permissions(to / name, fs::perms::owner_write, fs::perm_options::add);
    }
}

void rewrite_model(const fs::path& from, const fs::path& to,
                   const std::map<std::string, std::string>& metadata, const std::string& poison) {
  const Checkpoint model = Checkpoint::open(from);
  std::vector<SafetensorsWriter::Spec> specs;
  for (const TensorInfo& tensor : model.tensors())
    specs.push_back({tensor.name, tensor.dtype, tensor.shape});
  SafetensorsWriter writer(to, specs, metadata);
  bool poisoned = poison.empty();
  for (const TensorInfo& tensor : model.tensors()) {
    std::vector<std::byte> bytes = read_bytes(model, tensor.name);
    if (tensor.name == poison) {
      if (tensor.dtype != DType::f32) throw std::runtime_error(poison + " is not F32");
      const float nan = std::numeric_limits<float>::quiet_NaN();
      std::memcpy(bytes.data(), &nan, sizeof(nan));
      poisoned = true;
    }
    writer.write(bytes);
  }
  if (!poisoned) throw std::runtime_error("no tensor " + poison);
  writer.commit();
}

}  // namespace bitaxon::test
