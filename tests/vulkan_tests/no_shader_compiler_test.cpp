// A build without libshaderc.
#include <gtest/gtest.h>

#include "support/errors.h"
#include "vulkan/shader_compiler.h"

namespace bitaxon::vulkan {
namespace {

TEST(ShaderCompiler, ThisBuildHasNone) {
  test::expect_error([] { compile_shader(BX_SHADER_DIR, "embed"); }, ErrorKind::unsupported,
                     {"BITAXON_WITH_SHADERC"});
}

}  // namespace
}  // namespace bitaxon::vulkan
