set(BX_SANITIZER_FLAGS "")
if(BITAXON_SANITIZE STREQUAL "thread")
  set(BX_SANITIZER_FLAGS -fsanitize=thread -fno-omit-frame-pointer)
elseif(BITAXON_SANITIZE)
  set(BX_SANITIZER_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined
                         -fno-omit-frame-pointer)
endif()

# bx_target(<name>): the compile options of every target of this project.
function(bx_target name)
  target_compile_features(${name} PUBLIC cxx_std_20)
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wshadow -Wconversion)
  # Installed files must not contain the folder they were built in. Start a debugger in the source
  # folder. GCC uses the last prefix that matches, so the build folder, which is usually inside the
  # source folder, comes last.
  target_compile_options(${name} PRIVATE -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.
                                         -ffile-prefix-map=${PROJECT_BINARY_DIR}=.)
  if(BITAXON_WERROR)
    target_compile_options(${name} PRIVATE -Werror)
  endif()
  target_compile_options(${name} PRIVATE ${BX_SANITIZER_FLAGS})
  target_link_options(${name} PRIVATE ${BX_SANITIZER_FLAGS})
endfunction()

# Headers that most files include. Compiling them takes half a second or more in each file.
set(BX_COMMON_HEADERS
    <algorithm>
    <array>
    <chrono>
    <cmath>
    <cstdint>
    <filesystem>
    <fmt/format.h>
    <functional>
    <map>
    <memory>
    <optional>
    <span>
    <string>
    <string_view>
    <vector>)

# ccache compiles a file with precompiled headers without the cache unless its settings allow them.
set(BX_CACHEABLE_HEADERS ON)
if(CMAKE_CXX_COMPILER_LAUNCHER MATCHES "ccache" AND NOT "$ENV{CCACHE_SLOPPINESS}" MATCHES "pch_defines")
  set(BX_CACHEABLE_HEADERS OFF)
endif()

# bx_precompile_headers(<name> <group> [<header>...]): compiles the common headers, and more headers,
# once for all targets of a group. All targets of a group have the same compile options. A build of
# tools/check-sanitized.sh without names has no precompiled headers, so that it finds files that do not
# include what they use.
function(bx_precompile_headers name group)
  if(NOT BX_CACHEABLE_HEADERS)
    return()
  endif()
  get_property(owner GLOBAL PROPERTY BITAXON_HEADERS_${group})
  if(owner)
    target_precompile_headers(${name} REUSE_FROM ${owner})
  else()
    target_precompile_headers(${name} PRIVATE ${BX_COMMON_HEADERS} ${ARGN})
    set_property(GLOBAL PROPERTY BITAXON_HEADERS_${group} ${name})
  endif()
endfunction()

# bx_guides_fuzzers(<name>): fuzzers look for inputs that reach new code of this target. The
# counters cost time, so only code that reads input has them.
function(bx_guides_fuzzers name)
  if(BITAXON_BUILD_FUZZERS)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# bx_computes_little(<name>): for targets that are compiled more often than they run. The optimizer
# takes a third of the time of a release compilation and more than half of a sanitized one.
function(bx_computes_little name)
  if(BITAXON_SANITIZE)
    target_compile_options(${name} PRIVATE -O0)
  else()
    target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  endif()
endfunction()

# bx_only_tests(<name>): for test programs. They are compiled without the optimizer. What they test is
# in the library.
function(bx_only_tests name)
  target_compile_options(${name} PRIVATE -O0)
endfunction()

# The tests spend most of their time in the loops of these layers. In a build with sanitizers, the
# other layers are compiled without the optimizer, because it takes 0.6 of the compile time.
if(BITAXON_SANITIZE STREQUAL "thread")
  set(BX_COMPUTING_LAYERS core cpu)
else()
  set(BX_COMPUTING_LAYERS core cpu formats model ops tokenizer)
endif()

# The layers that read input.
set(BX_READING_LAYERS c_abi formats hub_cache model platform template tokenizer)

# bx_library_code(<name>): how the code of a library is compiled. One set of objects serves the static
# and the shared library, and all targets that share precompiled headers are compiled alike.
function(bx_library_code name)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON
                                           CXX_VISIBILITY_PRESET hidden
                                           VISIBILITY_INLINES_HIDDEN ON)
endfunction()

# bx_layer(<name> SOURCES ... LINK ...): one layer of src/ as an object library bitaxon_<name>. LINK
# names the layers below it and the libraries it may use. All of src/ is on the include path;
# tests/core_tests/layering_test.cpp checks that a layer includes only the layers it may use. All
# layers together are the library bitaxon.
function(bx_layer name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  set(target bitaxon_${name})
  add_library(${target} OBJECT ${arg_SOURCES})
  bx_target(${target})
  bx_library_code(${target})
  target_include_directories(
    ${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                     $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>
                     $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
                     $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/generated>)
  target_link_libraries(${target} PUBLIC ${arg_LINK})
  set(headers library)
  if(BITAXON_SANITIZE AND NOT name IN_LIST BX_COMPUTING_LAYERS)
    target_compile_options(${target} PRIVATE -O0)
    string(APPEND headers _unoptimized)
  endif()
  if(name IN_LIST BX_READING_LAYERS)
    bx_guides_fuzzers(${target})
    if(BITAXON_BUILD_FUZZERS)
      string(APPEND headers _counted)
    endif()
  endif()
  bx_precompile_headers(${target} ${headers})
  set_property(GLOBAL APPEND PROPERTY BITAXON_LAYERS ${target})
endfunction()
