// The extension module bit_axon._engine. Its functions take and return plain values; the modules in
// bit_axon/ make the documented interface of them.
#include <nanobind/nanobind.h>

#include "errors.h"
#include "parts.h"

NB_MODULE(_engine, module) {
  namespace python = bitaxon::python;
  // Objects that live until the end of the process are no leaks.
  nanobind::set_leak_warnings(false);
  // The first handler that is registered runs last.
  python::add_model(module);
  nanobind::module_::import_("atexit").attr("register")(module.attr("drain_all"));
  python::add_errors(module);
  python::add_devices(module);
  python::add_eager(module);
  python::add_evaluation(module);
  python::add_generation(module);
  python::add_porting(module);
  python::add_profiling(module);
  python::add_quantize(module);
  python::add_rewrite(module);
  python::add_sampling(module);
  python::add_tensors(module);
  python::add_tokenizer(module);
  python::add_training(module);
  python::add_training_data(module);
  python::add_training_files(module);
}
