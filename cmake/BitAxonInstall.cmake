# The files that `cmake --install` puts under a prefix: program, library, headers, bundled models,
# completions, and the files by which CMake and pkg-config find the library. The installed tree can
# be moved, because its files find each other by relative paths. The component "program" has the
# files that are needed to run the program. The component "tests" (only on request) has the test
# programs and their data, and needs the component "program". The other files are for compiling
# against the library.
include(CMakePackageConfigHelpers)

set(models_dir ${CMAKE_INSTALL_DATADIR}/bit-axon/models)
set(cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/bit-axon)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS bitaxon EXPORT bit-axonTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
# A model's recipe stays in the source tree.
install(DIRECTORY models/tiny-shakespeare models/tiny-chat models/texts DESTINATION ${models_dir}
        COMPONENT program PATTERN make.sh EXCLUDE PATTERN chat.jsonl EXCLUDE)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program OPTIONAL)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT program OPTIONAL)
if(BITAXON_WITH_VULKAN)
  install(DIRECTORY shaders DESTINATION ${CMAKE_INSTALL_DATADIR}/bit-axon COMPONENT program
          PATTERN shaders.cmake EXCLUDE)
endif()
if(TARGET bit-axon-probe)
  install(TARGETS bit-axon-probe RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR} COMPONENT program)
endif()
if(TARGET bit-axon)
  install(TARGETS bit-axon RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
  install(FILES tools/completions/bit-axon.bash RENAME bit-axon
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT program)
  install(FILES tools/completions/_bit-axon
          DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT program)
  install(FILES tools/completions/bit-axon.fish
          DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT program)
endif()

# bx_test() adds the test programs. tests/tree is the part of the source tree that they read.
if(BITAXON_BUILD_TESTS)
  install(PROGRAMS tests/run_installed.sh RENAME run DESTINATION tests COMPONENT tests EXCLUDE_FROM_ALL)
  install(PROGRAMS tests/report.sh RENAME report DESTINATION tests COMPONENT tests EXCLUDE_FROM_ALL)
  install(DIRECTORY tests/golden DESTINATION tests/tree/tests COMPONENT tests EXCLUDE_FROM_ALL)
  install(DIRECTORY docs/schemas DESTINATION tests/tree/docs COMPONENT tests EXCLUDE_FROM_ALL)
  install(DIRECTORY include shaders src tools DESTINATION tests/tree COMPONENT tests EXCLUDE_FROM_ALL)
  # The models are those of the component "program".
  install(CODE "file(CREATE_LINK \"../../${models_dir}\"
                     \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/tests/tree/models\" SYMBOLIC)"
          COMPONENT tests EXCLUDE_FROM_ALL)
  install(DIRECTORY tests DESTINATION tests/tree COMPONENT tests EXCLUDE_FROM_ALL
          FILES_MATCHING PATTERN "*.h" PATTERN "*.cpp" PATTERN "budgets*.txt")
endif()
if(BITAXON_BUILD_TESTS AND BITAXON_BUILD_BENCH AND BITAXON_WITH_CPU)
  get_property(bench_targets DIRECTORY bench PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS bench_targets)
    get_target_property(type ${target} TYPE)
    if(type STREQUAL EXECUTABLE)
      install(TARGETS ${target} RUNTIME DESTINATION bench COMPONENT tests EXCLUDE_FROM_ALL)
    endif()
  endforeach()
endif()

install(EXPORT bit-axonTargets NAMESPACE bitaxon:: DESTINATION ${cmake_dir})
set(BITAXON_MODELS_DIR ${models_dir})
set(BITAXON_PROBE ${CMAKE_INSTALL_LIBEXECDIR}/bit-axon-probe)
configure_package_config_file(
  cmake/bit-axonConfig.cmake.in ${PROJECT_BINARY_DIR}/bit-axonConfig.cmake
  INSTALL_DESTINATION ${cmake_dir} PATH_VARS BITAXON_MODELS_DIR BITAXON_PROBE)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/bit-axonConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/bit-axonConfig.cmake
              ${PROJECT_BINARY_DIR}/bit-axonConfigVersion.cmake
        DESTINATION ${cmake_dir})

# The relative path from the folder of the .pc file to the prefix. Any absolute prefix gives the
# same relative path.
file(RELATIVE_PATH BITAXON_PC_PREFIX /prefix/${pkgconfig_dir} /prefix)
string(REGEX REPLACE "/$" "" BITAXON_PC_PREFIX ${BITAXON_PC_PREFIX})
set(BITAXON_PC_REQUIRES "fmt libpcre2-8 libutf8proc libxxhash")
if(BITAXON_WITH_CPU)
  string(APPEND BITAXON_PC_REQUIRES " libhwy")
endif()
if(BITAXON_WITH_SENTENCEPIECE)
  string(APPEND BITAXON_PC_REQUIRES " sentencepiece")
endif()
set(BITAXON_PC_LIBS ${CMAKE_DL_LIBS})
list(TRANSFORM BITAXON_PC_LIBS PREPEND -l)
set(BITAXON_PC_PROBE "")
if(BITAXON_WITH_VULKAN)
  set(BITAXON_PC_PROBE "probe=\${prefix}/${BITAXON_PROBE}\n")
endif()
list(PREPEND BITAXON_PC_LIBS ${BITAXON_SHADERC_LIBRARIES})
list(JOIN BITAXON_PC_LIBS " " BITAXON_PC_LIBS)
# Users of a static library must link the libraries that it needs, and programs in C those of C++. A
# shared library names the libraries that it needs.
if(BUILD_SHARED_LIBS)
  set(BITAXON_PC_LINKING "Libs: -L\${libdir} -lbitaxon")
else()
  set(BITAXON_PC_LINKING "Requires: ${BITAXON_PC_REQUIRES}
Libs: -L\${libdir} -lbitaxon ${BITAXON_PC_LIBS} -pthread -lstdc++ -lm")
endif()
configure_file(cmake/bit-axon.pc.in ${PROJECT_BINARY_DIR}/bit-axon.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/bit-axon.pc DESTINATION ${pkgconfig_dir})
