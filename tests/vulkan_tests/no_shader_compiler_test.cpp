// Tests a build without libshaderc.
#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/source_tree.h"
#include "vulkan/program/shader_compiler.h"

namespace bitaxon::vulkan {
namespace {

TEST(ShaderCompiler, IsMissingInThisBuild) {
  test::expect_error([] { compile_shader(test::source_tree() / "shaders", "embed"); },
                     ErrorKind::unsupported, {"BITAXON_WITH_SHADERC"});
}

}  // namespace
}  // namespace bitaxon::vulkan
