#pragma once
#include <array>
#include <string>
#include <string_view>

#include "base/matrix.h"
#include "base/thread_pool.h"
#include "eval/checkpoint.h"

namespace daq {

// The seven linear layers of a decoder block, the ones that weight-only methods quantise.
enum class LinearLayer { kQuery, kKey, kValue, kOutput, kGate, kUp, kDown };

inline constexpr std::array<LinearLayer, 7> kLinearLayers = {
    LinearLayer::kQuery, LinearLayer::kKey, LinearLayer::kValue, LinearLayer::kOutput,
    LinearLayer::kGate,  LinearLayer::kUp,  LinearLayer::kDown};

// "self_attn.q_proj", and with its block "model.layers.3.self_attn.q_proj" (the checkpoint's name
// less ".weight").
std::string_view LinearLayerName(LinearLayer layer);
std::string LinearLayerName(Index block, LinearLayer layer);

struct MatrixShape {
  Index out_features = 0;
  Index in_features = 0;
};
MatrixShape LinearLayerShape(const ModelConfig& config, LinearLayer layer);

// The weights of one decoder block in float32. Layers that share an input lie below each other in
// one matrix, so that one product serves them.
struct BlockWeights {
  VectorF attention_norm;   // [hidden]
  VectorF mlp_norm;         // [hidden]
  MatrixF query_key_value;  // [query_size + 2 * key_value_size, hidden]
  MatrixF output;           // [hidden, query_size]
  MatrixF gate_up;          // [2 * intermediate, hidden]
  MatrixF down;             // [hidden, intermediate]

  // Shapes of `config`, values unset.
  explicit BlockWeights(const ModelConfig& config);

  // The rows of one layer, [out_features, in_features], inside the matrix that holds them.
  MatrixView Layer(const ModelConfig& config, LinearLayer layer);
  ConstMatrixView Layer(const ModelConfig& config, LinearLayer layer) const;
};

// Bytes of one BlockWeights.
std::uint64_t BlockWeightBytes(const ModelConfig& config);

// Reads the norms, or the seven linear layers (by all threads), of decoder block `block` into
// `weights`.
void ReadNorms(const Checkpoint& checkpoint, Index block, BlockWeights* weights);
void ReadLinearLayers(const Checkpoint& checkpoint, Index block, ThreadPool* pool,
                      BlockWeights* weights);

// Has the system read the linear layers of decoder block `block` from disk meanwhile; nothing where
// the model has no such block.
void ReadAhead(const Checkpoint& checkpoint, Index block);

}  // namespace daq
