#include "vulkan/program/spirv_reflection.h"

#include <algorithm>
#include <map>
#include <set>

#include "bitaxon/error.h"

namespace bitaxon::vulkan {
namespace {

// These numbers are from the specification of SPIR-V.
constexpr std::uint32_t kMagic = 0x07230203;
enum Op : std::uint32_t {
  kTypeInt = 21,
  kTypeFloat = 22,
  kTypeVector = 23,
  kTypeArray = 28,
  kTypeRuntimeArray = 29,
  kTypeStruct = 30,
  kTypePointer = 32,
  kConstant = 43,
  kVariable = 59,
  kDecorate = 71,
  kMemberDecorate = 72,
};
enum Decoration : std::uint32_t {
  kSpecId = 1,
  kBlock = 2,
  kArrayStride = 6,
  kNonWritable = 24,
  kBinding = 33,
  kDescriptorSet = 34,
  kOffset = 35,
};
enum StorageClass : std::uint32_t {
  kUniformConstant = 0,
  kUniform = 2,
  kPushConstant = 9,
  kStorageBuffer = 12,
  kPhysicalStorageBuffer = 5349,
};

[[noreturn]] void fail(const char* what) {
  throw Error(ErrorKind::format, std::string("SPIR-V: ") + what);
}

struct Type {
  std::uint32_t op = 0;
  std::size_t place = 0;             ///< index among all types; refers only to types before it
  std::vector<std::uint32_t> words;  ///< the words of the instruction after the result id
};

/// A SPIR-V module. Holds the data that one pass over the instructions collects.
class Module {
 public:
  explicit Module(std::span<const std::uint32_t> code) {
    if (code.size() < 5 || code[0] != kMagic) fail("expected a module, got something else");
    for (std::size_t at = 5; at < code.size();) {
      const std::uint32_t n_words = code[at] >> 16;
      if (n_words == 0 || at + n_words > code.size()) fail("an instruction beyond the end");
      read(code[at] & 0xffffU, code.subspan(at + 1, n_words - 1));
      at += n_words;
    }
  }

  ShaderInterface interface() const {
    ShaderInterface found;
    for (const auto& [id, decorations] : decorations_)
      if (const auto it = decorations.find(kSpecId); it != decorations.end())
        found.constant_ids.push_back(it->second);
    std::ranges::sort(found.constant_ids);
    for (const auto& [id, variable] : variables_) add_variable(id, variable, found);
    std::ranges::sort(found.bindings, {}, &ShaderInterface::Binding::number);
    for (const auto& [id, type] : types_) {
      if (type.op != kTypePointer || type.words[0] != kPhysicalStorageBuffer) continue;
      const std::uint32_t pointee = type.words[1];
      if (has(pointee, kBlock) && !is_read_only(pointee)) found.writable_addresses = true;
    }
    return found;
  }

 private:
  struct Variable {
    std::uint32_t pointer_type = 0;
    std::uint32_t storage_class = 0;
  };

  void read(std::uint32_t op, std::span<const std::uint32_t> words) {
    const auto need = [&](std::size_t n) {
      if (words.size() < n) fail("an instruction that is too short");
    };
    switch (op) {
      case kTypeInt:
      case kTypeFloat:
      case kTypeVector:
      case kTypeArray:
      case kTypeRuntimeArray:
      case kTypeStruct:
      case kTypePointer:
        need(op == kTypeStruct ? 1 : op == kTypeRuntimeArray || op == kTypeFloat ? 2 : 3);
        types_[words[0]] = {op, n_types_++, {words.begin() + 1, words.end()}};
        break;
      case kConstant:
        need(3);
        constants_[words[1]] = words[2];
        break;
      case kVariable:
        need(3);
        variables_[words[1]] = {words[0], words[2]};
        break;
      case kDecorate:
        need(2);
        decorations_[words[0]][words[1]] = words.size() > 2 ? words[2] : 0;
        break;
      case kMemberDecorate:
        need(3);
        members_[words[0]][words[1]][words[2]] = words.size() > 3 ? words[3] : 0;
        break;
      default:
        break;
    }
  }

  bool has(std::uint32_t id, std::uint32_t decoration) const {
    const auto it = decorations_.find(id);
    return it != decorations_.end() && it->second.contains(decoration);
  }
  std::uint32_t decoration(std::uint32_t id, std::uint32_t decoration, const char* what) const {
    if (!has(id, decoration)) fail(what);
    return decorations_.at(id).at(decoration);
  }
  const Type& type(std::uint32_t id) const {
    const auto it = types_.find(id);
    if (it == types_.end()) fail("a type that is not of numbers, vectors, arrays, structs");
    return it->second;
  }

  std::uint32_t pointee_of(const Variable& variable) const {
    const Type& pointer = type(variable.pointer_type);
    if (pointer.op != kTypePointer) fail("a variable that is not a pointer");
    return pointer.words[1];
  }

  /// Whether every member of the struct is declared readonly.
  bool is_read_only(std::uint32_t struct_id) const {
    const auto it = members_.find(struct_id);
    if (it == members_.end()) return type(struct_id).words.empty();
    return std::ranges::all_of(it->second,
                               [](const auto& m) { return m.second.contains(kNonWritable); });
  }

  std::uint32_t size_of_type(std::uint32_t id, const Type* outer = nullptr) const {
    const Type& t = type(id);
    if (outer != nullptr && t.place >= outer->place) fail("a type that refers to a later type");
    switch (t.op) {
      case kTypeInt:
      case kTypeFloat:
        return t.words[0] / 8;
      case kTypeVector:
        return size_of_type(t.words[0], &t) * t.words[1];
      case kTypeArray: {
        const auto length = constants_.find(t.words[1]);
        if (length == constants_.end()) fail("an array without a constant length");
        return decoration(id, kArrayStride, "an array without a stride") * length->second;
      }
      case kTypeStruct: {
        std::uint32_t size = 0;
        for (std::uint32_t i = 0; i < t.words.size(); ++i) {
          const auto it = members_.find(id);
          if (it == members_.end() || !it->second.contains(i) ||
              !it->second.at(i).contains(kOffset))
            fail("a member without an offset");
          size = std::max(size, it->second.at(i).at(kOffset) + size_of_type(t.words[i], &t));
        }
        return size;
      }
      default:
        fail("push constants of unknown size");
    }
  }

  void add_variable(std::uint32_t id, const Variable& variable, ShaderInterface& found) const {
    switch (variable.storage_class) {
      case kPushConstant:
        found.push_bytes = size_of_type(pointee_of(variable));
        break;
      case kStorageBuffer: {
        const std::uint32_t block = pointee_of(variable);
        if (decoration(id, kDescriptorSet, "a buffer without a set") != 0)
          fail("a descriptor set other than 0");
        const bool writable = !has(id, kNonWritable) && !is_read_only(block);
        const std::uint32_t number = decoration(id, kBinding, "a buffer without a binding");
        // A shader may declare one binding several times, with different types.
        const auto same =
            std::ranges::find(found.bindings, number, &ShaderInterface::Binding::number);
        if (same != found.bindings.end())
          same->writable |= writable;
        else
          found.bindings.push_back({number, writable});
        break;
      }
      case kUniformConstant:
      case kUniform:
        fail("a descriptor that is not a storage buffer");
      default:
        break;
    }
  }

  std::map<std::uint32_t, Type> types_;
  std::size_t n_types_ = 0;
  std::map<std::uint32_t, std::uint32_t> constants_;
  std::map<std::uint32_t, Variable> variables_;
  std::map<std::uint32_t, std::map<std::uint32_t, std::uint32_t>> decorations_;
  std::map<std::uint32_t, std::map<std::uint32_t, std::map<std::uint32_t, std::uint32_t>>> members_;
};

}  // namespace

ShaderInterface reflect(std::span<const std::uint32_t> code) { return Module(code).interface(); }

}  // namespace bitaxon::vulkan
