# bx_add_shader(<name>): compiles shaders/<name>.comp to SPIR-V, validates it, and embeds it. The
# enum and the table of code are generated from the list of shaders.

define_property(GLOBAL PROPERTY BITAXON_SHADERS BRIEF_DOCS "Compiled shaders"
                FULL_DOCS "In the order of registration")

function(bx_add_shader name)
  set(source ${PROJECT_SOURCE_DIR}/shaders/${name}.comp)
  set(folder ${PROJECT_BINARY_DIR}/generated/shaders)
  set(code ${folder}/${name}.inc)
  set(flags --target-env=vulkan1.2 -O -Werror -I ${PROJECT_SOURCE_DIR}/shaders)
  add_custom_command(
    OUTPUT ${code}
    COMMAND ${BITAXON_GLSLC} ${flags} -o ${folder}/${name}.spv ${source}
    COMMAND ${BITAXON_SPIRV_VAL} --target-env vulkan1.2 --scalar-block-layout ${folder}/${name}.spv
    # A second front end compiles the same source: code that only one front end accepts is not
    # portable. This front end prints the name of the file.
    COMMAND ${BITAXON_GLSLANG} --quiet -V --target-env vulkan1.2 -I${PROJECT_SOURCE_DIR}/shaders
            -o ${folder}/${name}.glslang.spv ${source}
    COMMAND ${BITAXON_GLSLC} ${flags} -mfmt=num -MD -MF ${code}.d -o ${code} ${source}
    DEPENDS ${source}
    DEPFILE ${code}.d
    COMMENT "Compiling shader ${name}"
    VERBATIM)
  set_property(GLOBAL APPEND PROPERTY BITAXON_SHADERS ${name})
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
  foreach(shader IN LISTS shaders)
    list(APPEND files ${PROJECT_BINARY_DIR}/generated/shaders/${shader}.inc)
    string(APPEND lines "constexpr std::uint32_t ${shader}_code[] = {\n#include \"shaders/${shader}.inc\"\n};\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/shaders/shader_code.inc CONTENT "${lines}" @ONLY)
  target_sources(${target} PRIVATE ${files})
  set_source_files_properties(${files} PROPERTIES HEADER_FILE_ONLY ON)
  set_property(SOURCE ${source} APPEND PROPERTY OBJECT_DEPENDS "${files}")
endfunction()
