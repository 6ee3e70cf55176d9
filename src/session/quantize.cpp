#include "formats/quantize.h"

#include "model/model_folder.h"
#include "model/quantize_weights.h"
#include "platform/printable.h"
#include "session/rewrite_impl.h"

namespace bitaxon {

Rewrite::Impl::Impl(const ModelFiles& from)
    : files(from),
      checkpoint(open_checkpoint(files)),
      spec(load_spec(files, warnings, &config_text)),
      name(printable_path(files.weights.string())),
      found(find_weights(spec, checkpoint, name, warnings)) {}

Rewrite Rewrite::quantize(const ModelFiles& files, const QuantizeOptions& options) {
  const Quantization how{.format = four_bit_format(options.format),
                         .group_size = options.group_size,
                         .nested = options.nested,
                         .bits = options.bits};
  auto impl = std::make_unique<Impl>(files);
  quantize_found(impl->spec, how, impl->name, impl->found, impl->warnings);
  for (const FoundWeight& weight : impl->found)
    impl->edits.push_back(
        {.from = weight, .to = weight.loaded(), .how = weight.quantize, .change = {}});
  return Rewrite(std::move(impl));
}

}  // namespace bitaxon
