#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "base/thread_pool.h"
#include "methods/format.h"
#include "methods/layer_statistics.h"

namespace daq {

// A linear layer of a block, as values that a transform may rewrite.
struct TransformLayer {
  std::string name;  // "model.layers.3.self_attn.q_proj"
  MatrixF weight;    // [out_features, in_features]
};

// Linear layers that read one input, and what computes it. With s > 0 per input channel,
// multiplying column c of each consumer by s[c] and dividing channel c of the producer by it leaves
// the block's function as it was.
struct TransformGroup {
  std::vector<Index>
      consumers;  // indices into TransformBlock::layers: q, k, v; or gate, up; or o; or down
  // Exactly one of these is >= 0, or none where nothing can take the division (o under
  // grouped-query attention).
  Index producer_norm = -1;   // index into TransformBlock::norms: element c
  Index producer_layer = -1;  // index into TransformBlock::layers: output row c
  const LayerStatistics* statistics =
      nullptr;  // the consumers' input; null without calibration data
};

// One decoder block as a transform sees it.
struct TransformBlock {
  std::string name;                    // "model.layers.3"
  std::vector<TransformLayer> layers;  // those that are quantised
  std::vector<VectorF> norms;          // the norms' weights
  std::vector<TransformGroup> groups;  // in the order in which the block computes them
};

// What a transform may ask while it searches.
struct TransformContext {
  Format format;               // that the layers will be quantised to
  ThreadPool* pool = nullptr;  // never null
  // The output, [tokens, features], on the calibration windows, of the module that group number
  // `group` is a part of (attention for q, k, v; the MLP for gate, up; the layer itself otherwise)
  // with the weights of `block`. Not set without calibration data.
  std::function<MatrixF(const TransformBlock& block, Index group)> module_output;
};

// Rewrites a decoder block, its function unchanged to rounding, before its layers are quantised.
class Transform {
 public:
  virtual ~Transform() = default;

  // True if Apply changes nothing: the caller need not copy the block's weights to hand them over.
  virtual bool is_identity() const = 0;

  // True if Apply needs the groups' statistics and module_output.
  virtual bool needs_statistics() const = 0;

  // Rewrites layers and norms of `block`. Statistics stay those of the inputs before; the caller
  // scales or collects them again. Deterministic for any thread count.
  virtual void Apply(TransformBlock* block, const TransformContext& context) const = 0;
};

}  // namespace daq
