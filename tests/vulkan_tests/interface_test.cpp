// Tests of the interfaces of shaders, and of launches that do not fit an interface.
#include <gtest/gtest.h>

#include <set>

#include "support/errors.h"
#include "vulkan/kernels/matrix_tile.h"
#include "vulkan/program/pipeline.h"
#include "vulkan/program/spirv_reflection.h"

namespace bitaxon::vulkan {
namespace {

using test::expect_error;

TEST(SpirvReflection, ReadsEveryShader) {
  EXPECT_LE(kShaderCount, 120);
  for (int i = 0; i < kShaderCount; ++i) {
    const auto shader = static_cast<Shader>(i);
    SCOPED_TRACE(name_of(shader));
    // An old compiler cannot translate the shaders for matrix units, so the program lacks them.
    if (embedded_code(shader).empty()) {
      EXPECT_FALSE(has_matrix_shaders());
      continue;
    }
    const ShaderInterface interface = reflect(embedded_code(shader));
    EXPECT_FALSE(interface.writable_addresses);
    EXPECT_LE(interface.push_bytes, kMaxPushBytes);
    EXPECT_GE(interface.bindings.size(), 2U);
    EXPECT_LE(interface.bindings.size(), kMaxBindings);
    bool writes = false;
    for (std::uint32_t b = 0; b < interface.bindings.size(); ++b) {
      EXPECT_EQ(interface.bindings[b].number, b);
      writes |= interface.bindings[b].writable;
    }
    EXPECT_TRUE(writes);
    // Binding 0 is the step buffer, which shaders must not write. The exceptions are the shaders
    // that measure the device outside of a step.
    EXPECT_EQ(interface.bindings[0].writable, shader == Shader::read_words ||
                                                  shader == Shader::multiply_add ||
                                                  shader == Shader::multiply_matrix);
    // The first constant of every shader is the workgroup size.
    ASSERT_FALSE(interface.constant_ids.empty());
    EXPECT_EQ(interface.constant_ids[0], 0U);
  }
}

TEST(SpirvReflection, ShaderNamesAreUnique) {
  std::set<std::string_view> names;
  for (int i = 0; i < kShaderCount; ++i) names.insert(name_of(static_cast<Shader>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(kShaderCount));
}

std::vector<std::uint32_t> some_code() {
  const auto code = embedded_code(Shader::embed);
  return {code.begin(), code.end()};
}

TEST(SpirvReflection, RefusesCodeThatIsNotAModule) {
  expect_error([] { reflect({}); }, ErrorKind::format, {"SPIR-V"});
  std::vector<std::uint32_t> code = some_code();
  expect_error([&] { reflect(std::span(code).first(4)); }, ErrorKind::format, {"SPIR-V"});
  code[0] ^= 1;
  expect_error([&] { reflect(code); }, ErrorKind::format, {"SPIR-V"});
}

/// Expects that reflect() succeeds or throws Error(format).
void expect_read_or_refused(std::span<const std::uint32_t> code) {
  try {
    reflect(code);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::format) << error.what();
  }
}

TEST(SpirvReflection, HandlesCodeThatIsCutAnywhere) {
  const std::vector<std::uint32_t> code = some_code();
  int refused = 0;
  for (std::size_t n = 5; n < code.size(); ++n) {
    try {
      reflect(std::span(code).first(n));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::format);
      ++refused;
    }
  }
  // The lengths that are not refused end between two instructions.
  EXPECT_GT(refused, static_cast<int>(code.size()) / 2);
}

TEST(SpirvReflection, HandlesAnyChangedWord) {
  const std::vector<std::uint32_t> whole = some_code();
  for (std::size_t i = 1; i < whole.size(); ++i)
    for (const std::uint32_t mask : {1U, 0x10U, 0x10000U, 0x80000000U, 0xffffffffU}) {
      std::vector<std::uint32_t> code = whole;
      code[i] ^= mask;
      expect_read_or_refused(code);
    }
}

/// An interface and a launch that fits it.
struct Fitting {
  ShaderInterface interface;
  Launch launch;

  Fitting() {
    interface.bindings = {{0, false}, {1, false}, {2, true}};
    interface.push_bytes = 8;
    interface.constant_ids = {0, 1};
    launch.bindings = {{.access = Access::read}, {.access = Access::read}, {}};
    launch.bindings[2].access = Access::read_write;
    launch.push_bytes = 8;
    launch.specialization = {{1, 5}, {0, 128}};
  }
  void expect_problem(std::initializer_list<std::string_view> fragments) const {
    const std::string problem = interface_problem(launch, interface);
    for (const std::string_view fragment : fragments)
      EXPECT_NE(problem.find(fragment), std::string::npos) << problem << "\nlacks " << fragment;
  }
};

TEST(InterfaceProblem, IsEmptyIfTheLaunchFits) {
  Fitting fitting;
  EXPECT_EQ(interface_problem(fitting.launch, fitting.interface), "");
  fitting.launch.bindings[2].access = Access::write;
  EXPECT_EQ(interface_problem(fitting.launch, fitting.interface), "");
}

TEST(InterfaceProblem, NamesAWrongPushConstantSize) {
  Fitting fitting;
  fitting.launch.push_bytes = 12;
  fitting.expect_problem({"push constants", "8", "12"});
}

TEST(InterfaceProblem, NamesWrongSpecializationConstants) {
  Fitting missing;
  missing.launch.specialization.pop_back();
  missing.expect_problem({"specialization constants", "[1]", "[0, 1]"});
  Fitting another;
  another.launch.specialization[0].id = 2;
  another.expect_problem({"specialization constants", "[0, 2]", "[0, 1]"});
  Fitting twice;
  twice.launch.specialization.push_back({1, 7});
  twice.expect_problem({"specialization constants", "[0, 1, 1]"});
}

TEST(InterfaceProblem, NamesAWrongNumberOfBindings) {
  Fitting fewer;
  fewer.launch.bindings.pop_back();
  fewer.expect_problem({"bindings", "2", "3"});
  Fitting more;
  more.launch.bindings.push_back({});
  more.expect_problem({"bindings", "4", "3"});
}

TEST(InterfaceProblem, NamesAGapBetweenBindings) {
  Fitting fitting;
  fitting.interface.bindings[2].number = 3;
  fitting.expect_problem({"binding 2", "3"});
}

TEST(InterfaceProblem, NamesAWrongBindingAccess) {
  Fitting writes;
  writes.launch.bindings[1].access = Access::write;
  writes.expect_problem({"binding 1", "writable"});
  Fitting reads;
  reads.launch.bindings[2].access = Access::read;
  reads.expect_problem({"binding 2", "readonly"});
}

TEST(InterfaceProblem, NamesWritableAddresses) {
  Fitting fitting;
  fitting.interface.writable_addresses = true;
  fitting.expect_problem({"addresses", "readonly"});
}

}  // namespace
}  // namespace bitaxon::vulkan
