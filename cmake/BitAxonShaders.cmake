# bx_add_shader(<name> [MATRIX]): compiles shaders/<name>.comp to SPIR-V, validates it, and embeds it.
# The enum and the table of code are generated from the list of shaders. A shader with MATRIX uses
# matrix units. If no compiler of this machine knows them, its table of code is empty.

define_property(GLOBAL PROPERTY BITAXON_SHADERS BRIEF_DOCS "Names of the shaders"
                FULL_DOCS "In the order of registration")
define_property(GLOBAL PROPERTY BITAXON_MISSING_SHADERS
                BRIEF_DOCS "Those of BITAXON_SHADERS that this machine cannot compile"
                FULL_DOCS "Their tables of code are empty")

# BITAXON_MATRIX_GLSLC compiles the shaders with matrix units. Debian 12's glslc is too old for them;
# the one of Debian 13 is not. Another program may be named, such as a script that runs glslc elsewhere.
set(BITAXON_MATRIX_GLSLC "${BITAXON_GLSLC}" CACHE FILEPATH
    "glslc that compiles shaders with matrix units (GL_KHR_cooperative_matrix)")
set(matrix_probe ${PROJECT_BINARY_DIR}/generated/matrix_probe)
file(CONFIGURE OUTPUT ${matrix_probe}.comp @ONLY CONTENT [[
#version 450
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#pragma use_vulkan_memory_model
layout(local_size_x = 32) in;
layout(set = 0, binding = 0) buffer Y { float y[]; };
void main() {
  coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator> sum =
      coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>(0.0);
  coopMatStore(sum, y, 0, 16, gl_CooperativeMatrixLayoutRowMajor);
}
]])
# Whether a command ends well. Its output is not shown.
function(bx_try variable)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_QUIET ERROR_QUIET)
  if(result EQUAL 0)
    set(${variable} ON PARENT_SCOPE)
  else()
    set(${variable} OFF PARENT_SCOPE)
  endif()
endfunction()
bx_try(BITAXON_HAS_MATRIX_GLSLC ${BITAXON_MATRIX_GLSLC} --target-env=vulkan1.2
       -o ${matrix_probe}.spv ${matrix_probe}.comp)
if(BITAXON_HAS_MATRIX_GLSLC)
  # The other tools of this machine may still be too old.
  bx_try(BITAXON_HAS_MATRIX_VAL ${BITAXON_SPIRV_VAL} --target-env vulkan1.2 ${matrix_probe}.spv)
  bx_try(BITAXON_HAS_MATRIX_GLSLANG ${BITAXON_GLSLANG} --quiet -V --target-env vulkan1.2
         -o ${matrix_probe}.glslang.spv ${matrix_probe}.comp)
else()
  message(STATUS "Without the shaders for matrix units: ${BITAXON_MATRIX_GLSLC} cannot compile them")
endif()

function(bx_add_shader name)
  set(source ${PROJECT_SOURCE_DIR}/shaders/${name}.comp)
  set(folder ${PROJECT_BINARY_DIR}/generated/shaders)
  set(code ${folder}/${name}.inc)
  set_property(GLOBAL APPEND PROPERTY BITAXON_SHADERS ${name})
  set(flags --target-env=vulkan1.2 -O -Werror -I ${PROJECT_SOURCE_DIR}/shaders)
  set(glslc ${BITAXON_GLSLC})
  set(check COMMAND ${BITAXON_SPIRV_VAL} --target-env vulkan1.2 --scalar-block-layout
            ${folder}/${name}.spv)
  # A second front end compiles the same source: code that only one front end accepts is not portable.
  # This front end prints the name of the file.
  set(other_front_end COMMAND ${BITAXON_GLSLANG} --quiet -V --target-env vulkan1.2
      -I${PROJECT_SOURCE_DIR}/shaders -o ${folder}/${name}.glslang.spv ${source})
  if("MATRIX" IN_LIST ARGN)
    if(NOT BITAXON_HAS_MATRIX_GLSLC)
      set_property(GLOBAL APPEND PROPERTY BITAXON_MISSING_SHADERS ${name})
      return()
    endif()
    set(glslc ${BITAXON_MATRIX_GLSLC})
    if(NOT BITAXON_HAS_MATRIX_VAL)
      set(check "")
    endif()
    if(NOT BITAXON_HAS_MATRIX_GLSLANG)
      set(other_front_end "")
    endif()
  endif()
  add_custom_command(
    OUTPUT ${code}
    COMMAND ${glslc} ${flags} -o ${folder}/${name}.spv ${source}
    ${check}
    ${other_front_end}
    COMMAND ${glslc} ${flags} -mfmt=num -MD -MF ${code}.d -o ${code} ${source}
    DEPENDS ${source}
    DEPFILE ${code}.d
    COMMENT "Compiling shader ${name}"
    VERBATIM)
endfunction()

# Writes generated/shaders/shader_list.inc: one line BX_SHADER(<name>) per shader.
function(bx_write_shader_list)
  get_property(shaders GLOBAL PROPERTY BITAXON_SHADERS)
  set(lines "")
  foreach(shader IN LISTS shaders)
    string(APPEND lines "BX_SHADER(${shader})\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/shaders/shader_list.inc
       CONTENT "${lines}" @ONLY)
endfunction()

# bx_embed_shaders(<target> <source>): <source> includes generated/shaders/<name>.inc of every shader.
function(bx_embed_shaders target source)
  get_property(shaders GLOBAL PROPERTY BITAXON_SHADERS)
  set(files "")
  set(lines "")
  get_property(missing GLOBAL PROPERTY BITAXON_MISSING_SHADERS)
  foreach(shader IN LISTS shaders)
    if(shader IN_LIST missing)
      string(APPEND lines "constexpr std::span<const std::uint32_t> ${shader}_code;\n")
      continue()
    endif()
    list(APPEND files ${PROJECT_BINARY_DIR}/generated/shaders/${shader}.inc)
    string(APPEND lines "constexpr std::uint32_t ${shader}_code[] = {\n#include \"shaders/${shader}.inc\"\n};\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/shaders/shader_code.inc CONTENT "${lines}" @ONLY)
  target_sources(${target} PRIVATE ${files})
  set_source_files_properties(${files} PROPERTIES HEADER_FILE_ONLY ON)
  set_property(SOURCE ${source} APPEND PROPERTY OBJECT_DEPENDS "${files}")
endfunction()
