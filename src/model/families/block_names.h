// Names the tensors of the blocks of a model. Families that share a form of block share these names.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "bitaxon/model_spec.h"

namespace bitaxon {

/// Names the tensors of one block.
class BlockNames {
 public:
  /// Every name begins with `prefix`, such as "model.layers.3.".
  BlockNames(ModelSpec& spec, std::int64_t block, std::string prefix)
      : spec_(spec), block_(block), prefix_(std::move(prefix)) {}

  /// Gives a weight its possible names. Files are written with the first name.
  void add(WeightId id, std::initializer_list<std::string> suffixes);
  /// Says that a checkpoint may lack the weight.
  void make_optional(WeightId id) { spec_.optional.insert({id, block_}); }

 private:
  ModelSpec& spec_;
  std::int64_t block_;
  std::string prefix_;
};

/// The projections of attention, without biases and norms: PREFIXq_proj.weight.
void name_attention(BlockNames& names, const std::string& prefix);
/// A dense SwiGLU: PREFIXgate_proj.weight. `also` is another prefix that some files use.
void name_dense(BlockNames& names, const std::string& prefix, const std::string& also = {});
/// A mixture of experts: PREFIXROUTER.weight, and the stacks of the experts. mlx stores one tensor
/// for each stack (PREFIXswitch_mlp.), the authors' files store one tensor for each expert.
/// `also` is another prefix that some files use.
void name_experts(BlockNames& names, const std::string& prefix, const std::string& router,
                  const std::string& also = {});
/// A selective scan with a projection of time steps, without biases of its projections and without
/// inner norms: PREFIXin_proj.weight.
void name_scan(BlockNames& names, const std::string& prefix);

/// The name of a block's form, such as "swa_moe".
std::string kind_of(const BlockSpec& block);

}  // namespace bitaxon
