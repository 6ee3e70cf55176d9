// The parts of the extension module. Each has a file of its own.
#pragma once

#include <nanobind/nanobind.h>

namespace bitaxon::python {

void add_devices(nanobind::module_& module);
void add_eager(nanobind::module_& module);
void add_evaluation(nanobind::module_& module);
void add_generation(nanobind::module_& module);
void add_model(nanobind::module_& module);
void add_porting(nanobind::module_& module);
void add_profiling(nanobind::module_& module);
void add_quantize(nanobind::module_& module);
void add_rewrite(nanobind::module_& module);
void add_sampling(nanobind::module_& module);
void add_tensors(nanobind::module_& module);
void add_tokenizer(nanobind::module_& module);
void add_training(nanobind::module_& module);
void add_training_data(nanobind::module_& module);
void add_training_files(nanobind::module_& module);

}  // namespace bitaxon::python
