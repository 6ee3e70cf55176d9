# bx_build_info(<target>): makes generated/platform/build_constants.h for a source file of <target>,
# with the version, the commit and the build type. It runs in every build, because a commit or an
# edit changes no file that CMake tracks.
function(bx_build_info target)
  set(header ${PROJECT_BINARY_DIR}/generated/platform/build_constants.h)
  add_custom_target(
    ${target}_build_info
    COMMAND ${CMAKE_COMMAND} -D SOURCE_DIR=${PROJECT_SOURCE_DIR} -D OUTPUT=${header}
            -D VERSION=${PROJECT_VERSION} -D BUILD_TYPE=$<CONFIG>
            -P ${PROJECT_SOURCE_DIR}/cmake/build_info.cmake
    BYPRODUCTS ${header}
    COMMENT "Reading the commit"
    VERBATIM)
  add_dependencies(${target} ${target}_build_info)
endfunction()
