# BITAXON_SHADERC_LIBRARIES: libshaderc as linker flags, by name, because users of the archive link
# it too. Distributions need different sets of libraries, so the first set with which a test program
# links is used. Debian 12's shared library lacks the symbols of glslang and SPIRV-Tools, and its
# combined archive has only its own objects.
include(CheckCXXSourceCompiles)

pkg_check_modules(SHADERC QUIET shaderc)
set(shaderc_folders ${SHADERC_LIBRARY_DIRS})
list(REMOVE_ITEM shaderc_folders ${CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES})
list(TRANSFORM shaderc_folders PREPEND -L)

# The static libraries that exist. Later versions of glslang have fewer of them.
set(shaderc_static "")
foreach(name IN ITEMS shaderc_combined SPIRV glslang MachineIndependent GenericCodeGen OSDependent
                      OGLCompiler HLSL glslang-default-resource-limits SPIRV-Tools-opt SPIRV-Tools)
  find_library(shaderc_found_${name} NAMES lib${name}.a HINTS ${SHADERC_LIBRARY_DIRS} NO_CACHE)
  if(shaderc_found_${name})
    list(APPEND shaderc_static -l${name})
  endif()
endforeach()

function(bx_try_shaderc variable)
  set(CMAKE_REQUIRED_QUIET ON)
  set(CMAKE_REQUIRED_INCLUDES ${SHADERC_INCLUDE_DIRS})
  set(CMAKE_REQUIRED_LIBRARIES ${ARGN} Threads::Threads)
  check_cxx_source_compiles([[
    #include <shaderc/shaderc.h>
    int main() {
      const shaderc_compiler_t compiler = shaderc_compiler_initialize();
      return shaderc_compile_into_spv(compiler, "", 0, shaderc_compute_shader, "", "", nullptr) == nullptr;
    }]] ${variable})
endfunction()

foreach(libraries IN ITEMS "-lshaderc" "-lshaderc_shared" "-lshaderc_combined" "${shaderc_static}")
  string(MAKE_C_IDENTIFIER "BITAXON_LINKS${libraries}" links)
  bx_try_shaderc(${links} ${shaderc_folders} ${libraries})
  if(${links})
    set(BITAXON_SHADERC_LIBRARIES ${shaderc_folders} ${libraries})
    break()
  endif()
  list(APPEND shaderc_tried ${links})
endforeach()
if(NOT BITAXON_SHADERC_LIBRARIES)
  foreach(links IN LISTS shaderc_tried)
    unset(${links} CACHE)  # the next configure step tries again
  endforeach()
endif()
