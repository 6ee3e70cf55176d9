// Tests that compile shaders at run time. They need no device.
#include "vulkan/program/shader_compiler.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/errors.h"
#include "support/source_tree.h"
#include "support/temporary_folder.h"
#include "vulkan/program/shader.h"
#include "vulkan/program/spirv_reflection.h"

namespace bitaxon::vulkan {
namespace {

using test::expect_error;
using test::TemporaryFolder;

const std::filesystem::path& shader_folder() {
  static const std::filesystem::path folder = test::source_tree() / "shaders";
  return folder;
}

TEST(ShaderCompiler, EveryShaderFitsItsEmbeddedInterface) {
  for (int i = 0; i < kShaderCount; ++i) {
    const auto shader = static_cast<Shader>(i);
    SCOPED_TRACE(name_of(shader));
    // An older compiler lacks matrix units, here or in the build.
    const bool is_optional = name_of(shader).ends_with("_matrix");
    if (is_optional && (embedded_code(shader).empty() || !compiles_matrix_shaders())) continue;
    const auto code = compile_shader(shader_folder(), name_of(shader));
    EXPECT_TRUE(reflect(code) == reflect(embedded_code(shader)));
  }
}

/// A folder with a shader main.comp, which includes the file lib/part.glsl.
class Folder {
 public:
  Folder(std::string_view main, std::string_view part) {
    std::filesystem::create_directory(folder_ / "lib");
    folder_.write("main.comp", main);
    folder_.write("lib/part.glsl", part);
  }
  const std::filesystem::path& path() const { return folder_.path(); }
  std::string file(std::string_view name) const { return (folder_ / name).string(); }
  std::vector<std::uint32_t> compile() const { return compile_shader(path(), "main"); }

 private:
  TemporaryFolder folder_;
};

constexpr std::string_view kMain = R"(#version 450
#extension GL_GOOGLE_include_directive : require
#include "lib/part.glsl"
layout(set = 0, binding = 0) buffer Out { uint value; };
void main() { value = part(); }
)";

TEST(ShaderCompiler, ReadsChangedFilesAgain) {
  const Folder folder(kMain, "uint part() { return 7u; }\n");
  const ShaderInterface interface = reflect(folder.compile());
  ASSERT_EQ(interface.bindings.size(), 1U);
  EXPECT_TRUE(interface.bindings[0].writable);
  const auto before = folder.compile();
  std::ofstream(folder.file("lib/part.glsl")) << "uint part() { return 8u; }\n";
  EXPECT_NE(folder.compile(), before);
}

TEST(ShaderCompiler, SearchesForAnIncludeNextToItsFileThenInTheFolder) {
  const Folder folder(kMain, "#include \"more.glsl\"\n#include \"lib/more.glsl\"\n");
  std::ofstream(folder.file("lib/more.glsl")) << "#ifndef MORE\n#define MORE\n"
                                                 "uint part() { return 7u; }\n#endif\n";
  EXPECT_FALSE(folder.compile().empty());
}

TEST(ShaderCompiler, ReportsAnErrorByFileAndLine) {
  const Folder in_main("#version 450\nvoid main() {\n  uint a = nothing;\n}\n", "");
  expect_error([&] { in_main.compile(); }, ErrorKind::format,
               {in_main.file("main.comp") + ":3:", "error", "nothing"});
  const Folder in_part(kMain, "\n\n\nuint part() { return nothing; }\n");
  expect_error([&] { in_part.compile(); }, ErrorKind::format,
               {in_part.file("lib/part.glsl") + ":4:", "error", "nothing"});
}

TEST(ShaderCompiler, TreatsAWarningAsAnError) {
  const Folder folder(kMain,
                      "#extension GL_EXT_no_such_thing : enable\nuint part() { return 7u; }");
  expect_error([&] { folder.compile(); }, ErrorKind::format,
               {folder.file("lib/part.glsl") + ":1:", "GL_EXT_no_such_thing"});
}

TEST(ShaderCompiler, NamesMissingFiles) {
  const Folder folder(kMain, "#include \"lib/nowhere.glsl\"\n");
  expect_error([&] { folder.compile(); }, ErrorKind::format,
               {folder.file("lib/part.glsl") + ":1:", "lib/nowhere.glsl", "no such file"});
  expect_error([&] { compile_shader(folder.path(), "absent"); }, ErrorKind::io,
               {folder.file("absent.comp")});
  expect_error([&] { compile_shader(folder.path() / "no_folder", "main"); }, ErrorKind::io,
               {"no_folder"});
}

TEST(ShaderCompiler, RefusesFilesThatAreNotShaders) {
  const Folder bytes(std::string_view("\x1b[31m\xff\n", 7), "");
  expect_error([&] { bytes.compile(); }, ErrorKind::format, {bytes.file("main.comp")});
  const Folder empty("", "");
  expect_error([&] { empty.compile(); }, ErrorKind::format, {empty.file("main.comp")});
}

TEST(ShaderCompiler, RefusesEndlessIncludes) {
  const Folder folder(kMain, "#include \"lib/part.glsl\"\n");
  expect_error([&] { folder.compile(); }, ErrorKind::format, {"without end"});
}

TEST(ShaderCompiler, PrintsNothing) {
  testing::internal::CaptureStdout();
  for (const char* text : {"", "void main() {", "#version 100\nvoid main() {}\n"}) {
    const Folder folder(text, "");
    expect_error([&] { folder.compile(); }, ErrorKind::format, {folder.file("main.comp")});
  }
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
}

}  // namespace
}  // namespace bitaxon::vulkan
