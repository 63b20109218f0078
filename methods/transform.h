#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "base/thread_pool.h"
#include "methods/diagnostics.h"
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
      nullptr;  // of the consumers' input before any rewriting; null without calibration data

  // True where the consumers are followed by more of their module (q, k, v by attention and o; gate
  // and up by the activation and down): TransformContext::module_error then measures what an error
  // in them does to the module's output. False where the module is the consumer itself (o, down).
  bool in_module = false;

  // Set by Apply: s where the group was scaled, so that its inputs are now x / s. Empty: untouched.
  VectorF input_divisor = {};
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
  // For a group that is in_module: the mean over calibration tokens and features of the squared
  // difference between the module's output with `consumer_weights` (one matrix a consumer, in the
  // group's order) in place of the block's and the output of the block as it was handed to Apply.
  // Not set without calibration data.
  std::function<double(Index group, std::span<const MatrixF> consumer_weights)> module_error;
};

// Rewrites a decoder block, its function unchanged to rounding, before its layers are quantised.
class Transform {
 public:
  virtual ~Transform() = default;

  // True if Apply changes nothing: the caller need not copy the block's weights to hand them over.
  virtual bool is_identity() const = 0;

  // True if Apply needs the groups' statistics and module_error.
  virtual bool needs_statistics() const = 0;

  // The diagnostics that Apply's result may hold; they outlive this object.
  virtual std::span<const DiagnosticSpec> diagnostics() const { return {}; }

  // How often Apply evaluates the error of each group, for forecasts of time.
  virtual Index evaluations() const { return 0; }

  // How many copies of the block's float32 weights Apply works with, for forecasts of memory.
  virtual double block_copies() const { return 0; }

  // Throws InputError if this transform cannot serve `format`, as Range::CheckFormat.
  virtual void CheckFormat(const Format& format) const = 0;

  // Rewrites layers and norms of `block` and sets the groups' input_divisor; statistics stay those
  // of the inputs before, the caller divides them (LayerStatistics::Divided). Returns diagnostics
  // by layer name. Deterministic for any thread count.
  virtual std::map<std::string, Diagnostics> Apply(TransformBlock* block,
                                                   const TransformContext& context) const = 0;
};

}  // namespace daq
