# A script that runs at build time (cmake -P). Writes OUTPUT only when its contents change, so that
# nothing is compiled again for the same commit.
# Variables: SOURCE_DIR, OUTPUT, VERSION, BUILD_TYPE
set(commit "unknown")
find_program(git NAMES git)
if(git)
  # The prefix is empty at the top of a work tree. A source tree without its own repository,
  # unpacked inside another repository, must not report the commit of that repository.
  execute_process(COMMAND ${git} -C ${SOURCE_DIR} rev-parse --show-prefix
                  OUTPUT_VARIABLE prefix OUTPUT_STRIP_TRAILING_WHITESPACE
                  RESULT_VARIABLE status ERROR_QUIET)
  if(status EQUAL 0 AND prefix STREQUAL "")
    execute_process(COMMAND ${git} -C ${SOURCE_DIR} describe --always --dirty --exclude=*
                    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE
                    RESULT_VARIABLE status ERROR_QUIET)
    if(status EQUAL 0)
      set(commit ${described})
    endif()
  endif()
endif()

file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[
#pragma once
inline constexpr const char* kVersion = "@VERSION@";
inline constexpr const char* kCommit = "@commit@";
inline constexpr const char* kBuildType = "@BUILD_TYPE@";
]])
