# bx_add_backend(<name> OPTION <option> KERNELS <folder> SELECTORS <selector>...): registers the backend
# in src/<name>. <option> says whether this build has it. Each op has a kernel in
# src/<name>/<folder>, and src/devices/<name>_devices.cpp defines its BackendFactory, <name>_factory.
# "vulkan[:SEL]" stands for the selectors "vulkan" and "vulkan:SEL".
define_property(GLOBAL PROPERTY BITAXON_BACKENDS BRIEF_DOCS "Backends of this build"
                FULL_DOCS "In the order of registration")
define_property(GLOBAL PROPERTY BITAXON_KERNEL_FOLDERS
                BRIEF_DOCS "Folders that hold a file for every op"
                FULL_DOCS "One for each backend, built or not")
define_property(GLOBAL PROPERTY BITAXON_BACKEND_LIST BRIEF_DOCS "Lines of backend_list.inc"
                FULL_DOCS "One for each backend, built or not")

function(bx_add_backend name)
  cmake_parse_arguments(arg "" "OPTION;KERNELS" "SELECTORS" ${ARGN})
  set_property(GLOBAL APPEND PROPERTY BITAXON_KERNEL_FOLDERS src/${name}/${arg_KERNELS})
  if(${arg_OPTION})
    set_property(GLOBAL APPEND PROPERTY BITAXON_BACKENDS ${name})
    set_property(GLOBAL APPEND_STRING PROPERTY BITAXON_BACKEND_LIST "BX_BACKEND(${name})\n")
  else()
    list(JOIN arg_SELECTORS "\", \"" selectors)
    set_property(GLOBAL APPEND_STRING PROPERTY BITAXON_BACKEND_LIST
                 "BX_MISSING_BACKEND(${name}, \"${selectors}\")\n")
  endif()
endfunction()

# Writes generated/devices/backend_list.inc: a line for each backend. The file is written only when
# it changes.
function(bx_write_backend_list)
  get_property(lines GLOBAL PROPERTY BITAXON_BACKEND_LIST)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/devices/backend_list.inc
       CONTENT "${lines}" @ONLY)
endfunction()
