#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "eval/block_weights.h"
#include "methods/layer_report.h"
#include "methods/quantized_matrix.h"

namespace daq {

// One decoder block after quantising: packed linear layers, and the norms, which a transform may
// have rewritten.
struct QuantizedBlock {
  VectorF attention_norm;
  VectorF mlp_norm;
  std::vector<QuantizedMatrix> layers;  // in the order of kLinearLayers
};

// What is known of a quantised block beside its weights.
struct QuantizedBlockReport {
  std::vector<LayerReport> layers;  // in the order of kLinearLayers
  std::int64_t stored_bits = 0;     // of all its layers
  double seconds = 0;               // of wall time that quantising it took
};

// A stored block, or its report, that is missing, damaged or not of the model's shape: of concern
// to one quantised model alone, and made anew once it is discarded.
class UnusableBlock : public InputError {
 public:
  UnusableBlock(Index block, const InputError& problem);
  Index block() const { return block_; }

 private:
  Index block_;
};

// The blocks of one quantised model on disk, a file each, written atomically: where the quantise
// stage and the evaluate stage meet. A stopped quantise stage goes on at the first block that is
// missing.
class QuantizedStore {
 public:
  explicit QuantizedStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  bool HasBlock(Index block) const;
  bool HasAllBlocks(Index blocks) const;  // 0 .. blocks - 1
  void WriteBlock(Index block, const QuantizedBlock& content,
                  const QuantizedBlockReport& report) const;

  // Throw UnusableBlock, naming the file.
  QuantizedBlock ReadBlock(Index block, const ModelConfig& config) const;
  QuantizedBlockReport ReadReport(Index block) const;

  // Deletes a block, if it is there, so that the next quantise stage makes it anew.
  void Discard(Index block) const;

  // Deletes everything stored.
  void Remove() const;

 private:
  QuantizedBlock ParseBlock(Index block, const ModelConfig& config) const;
  QuantizedBlockReport ParseReport(Index block) const;
  std::filesystem::path BlockFile(Index block) const;
  std::filesystem::path ReportFile(Index block) const;
  std::filesystem::path folder_;
};

// Fills `weights` with the norms and dequantised layers of a block of that shape.
void DequantizeBlock(const QuantizedBlock& block, const ModelConfig& config, ThreadPool* pool,
                     BlockWeights* weights);

}  // namespace daq
