#pragma once
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "eval/block_forward.h"
#include "harness/quantized_store.h"
#include "methods/quantize_layer.h"
#include "methods/rtn_reference.h"

namespace daq {

// What a block's quantisers may know of the calibration windows.
struct BlockCalibration {
  std::array<const LayerStatistics*, 4> statistics = {};  // by LinearInput; all null without
  // The mean squared error of the outputs of attention (of the MLP, for kMlp) with the weights
  // `trial` in place of the checkpoint's (TransformContext::module_error).
  std::function<double(LinearInput input, const BlockWeights& trial)> module_error = {};
};

// Quantises one decoder block with one recipe: the transform once, then its layers.
class BlockQuantizer {
 public:
  // `original` is the block as the checkpoint has it; it and all else must outlive this.
  BlockQuantizer(const RecipeParts& parts, const Format& format, const ModelConfig& config,
                 Index block, const BlockWeights& original, ThreadPool* pool);

  // Rewrites the block by the recipe's transform. Call first.
  void Transform(const BlockCalibration& calibration);

  // Quantises the layers that read `input`. `statistics` (may be null) are of that input: as the
  // checkpoint's weights give it (`transformed` false: they are divided here), or as weights() do.
  // `held_out` (may be null) are of other windows, as the checkpoint's weights give that input: no
  // part sees them, the report measures errors on them too.
  void QuantizeLayers(LinearInput input, const LayerStatistics* statistics, bool transformed,
                      const LayerStatistics* held_out);

  // The block as it stands: transformed, the layers quantised so far dequantised.
  const BlockWeights& weights();

  // The finished block, once every layer is quantised; moved out. The report's seconds are 0.
  std::pair<QuantizedBlock, QuantizedBlockReport> Take();

 private:
  BlockWeights* Own();
  TransformBlock MakeTransformBlock(const BlockCalibration& calibration);
  double ModuleError(const BlockCalibration& calibration, const TransformGroup& group,
                     std::span<const MatrixF> consumer_weights);
  LayerCoordinates CoordinatesOf(LinearLayer layer) const;
  void QuantizeOne(LinearLayer layer, const LayerStatistics* statistics,
                   const LayerStatistics* held_out);
  std::optional<double> ErrorVsRtn(LinearLayer layer, double error, const LayerContext& context);

  const RecipeParts& parts_;
  const Format& format_;
  const ModelConfig& config_;
  Index block_;
  const BlockWeights& original_;
  ThreadPool* pool_;
  std::unique_ptr<BlockWeights> own_;     // made when the first weight changes
  std::unique_ptr<BlockWeights> trial_;   // of a transform's search, while it runs
  std::array<VectorF, 4> input_divisor_;  // by LinearInput; empty where the input is as it was
  std::map<std::string, Diagnostics> diagnostics_;  // of the transform
  std::vector<QuantizedMatrix> layers_;             // in the order of kLinearLayers
  std::vector<LayerReport> reports_;
};

}  // namespace daq
