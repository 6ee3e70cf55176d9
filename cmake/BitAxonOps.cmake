# bx_add_op(<op>): registers an op by its stem. The files of the op are found by name; a missing
# file stops the configure step. The enum, the name table, the kernel tables of the backends and the
# test registry are generated from the list of ops, so adding an op needs no other edit.
define_property(GLOBAL PROPERTY BITAXON_OPS BRIEF_DOCS "Registered ops"
                FULL_DOCS "In the order of registration")

function(bx_add_op op)
  get_property(kernel_folders GLOBAL PROPERTY BITAXON_KERNEL_FOLDERS)
  list(TRANSFORM kernel_folders APPEND /${op}.cpp OUTPUT_VARIABLE kernels)
  foreach(file src/ops/${op}.h src/ops/${op}.cpp ${kernels} src/cases/${op}.cpp)
    if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "op ${op}: ${file} is missing")
    endif()
  endforeach()
  set_property(GLOBAL APPEND PROPERTY BITAXON_OPS ${op})
endfunction()

# bx_op_sources(<variable> <folder>): the source file of each op in a folder.
function(bx_op_sources variable folder)
  get_property(ops GLOBAL PROPERTY BITAXON_OPS)
  set(files "")
  foreach(op IN LISTS ops)
    list(APPEND files ${PROJECT_SOURCE_DIR}/${folder}/${op}.cpp)
  endforeach()
  set(${variable} ${files} PARENT_SCOPE)
endfunction()

# Writes generated/ops/op_list.inc: one line BX_OP(<op>) per op. The file is written only when it
# changes.
function(bx_write_op_list)
  get_property(ops GLOBAL PROPERTY BITAXON_OPS)
  set(lines "")
  foreach(op IN LISTS ops)
    string(APPEND lines "BX_OP(${op})\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/ops/op_list.inc CONTENT "${lines}" @ONLY)
endfunction()
