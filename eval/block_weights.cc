#include "eval/block_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace daq {

std::string_view LinearLayerName(LinearLayer layer) {
  switch (layer) {
    case LinearLayer::kQuery:
      return "self_attn.q_proj";
    case LinearLayer::kKey:
      return "self_attn.k_proj";
    case LinearLayer::kValue:
      return "self_attn.v_proj";
    case LinearLayer::kOutput:
      return "self_attn.o_proj";
    case LinearLayer::kGate:
      return "mlp.gate_proj";
    case LinearLayer::kUp:
      return "mlp.up_proj";
    case LinearLayer::kDown:
      return "mlp.down_proj";
  }
  DAQ_CHECK(false, "a linear layer");
  return {};
}

std::string LinearLayerName(Index block, LinearLayer layer) {
  return fmt::format("model.layers.{}.{}", block, LinearLayerName(layer));
}

MatrixShape LinearLayerShape(const ModelConfig& config, LinearLayer layer) {
  switch (layer) {
    case LinearLayer::kQuery:
      return {config.query_size(), config.hidden_size};
    case LinearLayer::kKey:
    case LinearLayer::kValue:
      return {config.key_value_size(), config.hidden_size};
    case LinearLayer::kOutput:
      return {config.hidden_size, config.query_size()};
    case LinearLayer::kGate:
    case LinearLayer::kUp:
      return {config.intermediate_size, config.hidden_size};
    case LinearLayer::kDown:
      return {config.hidden_size, config.intermediate_size};
  }
  DAQ_CHECK(false, "a linear layer");
  return {};
}

BlockWeights::BlockWeights(const ModelConfig& config)
    : attention_norm(config.hidden_size),
      mlp_norm(config.hidden_size),
      query_key_value(config.query_size() + 2 * config.key_value_size(), config.hidden_size),
      output(config.hidden_size, config.query_size()),
      gate_up(2 * config.intermediate_size, config.hidden_size),
      down(config.hidden_size, config.intermediate_size) {}

namespace {

// The rows of one layer in a BlockWeights, const or not.
template <typename View, typename Weights>
View LayerOf(Weights& weights, const ModelConfig& config, LinearLayer layer) {
  const Index query = config.query_size();
  const Index key_value = config.key_value_size();
  switch (layer) {
    case LinearLayer::kQuery:
      return weights.query_key_value.topRows(query);
    case LinearLayer::kKey:
      return weights.query_key_value.middleRows(query, key_value);
    case LinearLayer::kValue:
      return weights.query_key_value.bottomRows(key_value);
    case LinearLayer::kOutput:
      return weights.output;
    case LinearLayer::kGate:
      return weights.gate_up.topRows(config.intermediate_size);
    case LinearLayer::kUp:
      return weights.gate_up.bottomRows(config.intermediate_size);
    case LinearLayer::kDown:
      return weights.down;
  }
  DAQ_CHECK(false, "a linear layer");
  return weights.down;
}

}  // namespace

MatrixView BlockWeights::Layer(const ModelConfig& config, LinearLayer layer) {
  return LayerOf<MatrixView>(*this, config, layer);
}

ConstMatrixView BlockWeights::Layer(const ModelConfig& config, LinearLayer layer) const {
  return LayerOf<ConstMatrixView>(*this, config, layer);
}

std::uint64_t BlockWeightBytes(const ModelConfig& config) {
  Index values = 2 * config.hidden_size;
  for (const LinearLayer layer : kLinearLayers) {
    const MatrixShape shape = LinearLayerShape(config, layer);
    values += shape.out_features * shape.in_features;
  }
  return static_cast<std::uint64_t>(values) * sizeof(float);
}

void ReadNorms(const Checkpoint& checkpoint, Index block, BlockWeights* weights) {
  weights->attention_norm =
      checkpoint.ReadVector(fmt::format("model.layers.{}.input_layernorm.weight", block));
  weights->mlp_norm =
      checkpoint.ReadVector(fmt::format("model.layers.{}.post_attention_layernorm.weight", block));
}

void ReadLinearLayers(const Checkpoint& checkpoint, Index block, ThreadPool* pool,
                      BlockWeights* weights) {
  // Pieces of rows small enough to keep all threads busy, large enough that finding the tensor
  // costs nothing.
  constexpr Index kPieceValues = Index{1} << 20;
  struct Piece {
    std::string name;
    Index first_row;
    MatrixView to;
  };
  std::vector<Piece> pieces;
  for (const LinearLayer layer : kLinearLayers) {
    MatrixView rows = weights->Layer(checkpoint.config(), layer);
    const Index step = std::max<Index>(1, kPieceValues / rows.cols());
    for (Index row = 0; row < rows.rows(); row += step) {
      pieces.push_back({.name = LinearLayerName(block, layer) + ".weight",
                        .first_row = row,
                        .to = rows.middleRows(row, std::min(step, rows.rows() - row))});
    }
  }
  pool->ParallelFor(static_cast<Index>(pieces.size()), [&](Index item, int) {
    const Piece& piece = pieces[static_cast<std::size_t>(item)];
    checkpoint.ReadRows(piece.name, piece.first_row, piece.to);
  });
}

void ReadAhead(const Checkpoint& checkpoint, Index block) {
  if (block >= checkpoint.config().num_layers) return;
  for (const LinearLayer layer : kLinearLayers)
    checkpoint.ReadAhead(LinearLayerName(block, layer) + ".weight");
}

}  // namespace daq
