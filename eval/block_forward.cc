#include "eval/block_forward.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/exp.h"
#include "base/float_product.h"
#include "eval/rms_norm.h"

namespace daq {
namespace {

// The fixed sizes of pieces. A product's tile has enough tokens that packing its weights costs
// little, and is small enough that one window of 2048 tokens gives each layer of a 7B model dozens
// of them.
constexpr Index kTokenTile = 512;
constexpr Index kOutputTile = 512;
// Of everything that is done row by row.
constexpr Index kRowTile = 128;
// Windows are run in batches of about this many tokens, so that short windows of a small model fill
// all cores.
constexpr Index kBatchTokens = 4096;

Index Tiles(Index size, Index tile) { return (size + tile - 1) / tile; }

Index BatchWindows(Index window_tokens) { return std::max<Index>(1, kBatchTokens / window_tokens); }

// Calls body(first_row, rows) for tiles of rows.
void ForRowTiles(ThreadPool* pool, Index rows,
                 const std::function<void(Index first_row, Index rows)>& body) {
  pool->ParallelFor(Tiles(rows, kRowTile), [&](Index tile, int) {
    body(tile * kRowTile, std::min(kRowTile, rows - tile * kRowTile));
  });
}

// Calls body(first_row, rows, first_output, outputs) for tiles of tokens by tiles of
// outputs.
void ForProductTiles(ThreadPool* pool, Index windows, Index window_tokens, Index outputs,
                     const std::function<void(Index, Index, Index, Index)>& body) {
  const Index token_tiles = Tiles(window_tokens, kTokenTile);
  const Index output_tiles = Tiles(outputs, kOutputTile);
  pool->ParallelFor(windows * token_tiles * output_tiles, [&](Index item, int) {
    // Token tiles run fastest: neighbours in time read the same weights.
    const Index token_item = item % (windows * token_tiles);
    const Index first_output = item / (windows * token_tiles) * kOutputTile;
    const Index start = token_item % token_tiles * kTokenTile;
    body(token_item / token_tiles * window_tokens + start,
         std::min(kTokenTile, window_tokens - start), first_output,
         std::min(kOutputTile, outputs - first_output));
  });
}

}  // namespace

LinearInput InputOf(LinearLayer layer) {
  switch (layer) {
    case LinearLayer::kQuery:
    case LinearLayer::kKey:
    case LinearLayer::kValue:
      return LinearInput::kAttention;
    case LinearLayer::kOutput:
      return LinearInput::kOutput;
    case LinearLayer::kGate:
    case LinearLayer::kUp:
      return LinearInput::kMlp;
    case LinearLayer::kDown:
      return LinearInput::kDown;
  }
  DAQ_CHECK(false, "a linear layer");
  return LinearInput::kDown;
}

LinearLayer FirstReaderOf(LinearInput input) {
  const auto* found = std::find_if(kLinearLayers.begin(), kLinearLayers.end(),
                                   [&](LinearLayer layer) { return InputOf(layer) == input; });
  DAQ_CHECK(found != kLinearLayers.end(), "an input that a layer reads");
  return *found;
}

BlockForward::BlockForward(const ModelConfig& config, Index window_tokens, ThreadPool* pool)
    : config_(config),
      window_tokens_(window_tokens),
      batch_windows_(BatchWindows(window_tokens)),
      pool_(pool),
      rope_(config.rope, config.head_dim, window_tokens),
      normed_(batch_windows_ * window_tokens, config.hidden_size),
      query_key_value_(batch_windows_ * window_tokens,
                       config.query_size() + 2 * config.key_value_size()),
      attended_(batch_windows_ * window_tokens, config.query_size()),
      gate_up_(batch_windows_ * window_tokens, 2 * config.intermediate_size),
      attention_scratch_(static_cast<std::size_t>(pool->threads())) {
  for (AttentionScratch& scratch : attention_scratch_) scratch = AttentionScratch(window_tokens);
}

std::uint64_t BlockForward::WorkspaceBytes(const ModelConfig& config, Index windows,
                                           Index window_tokens, int threads) {
  const Index row = config.hidden_size + 2 * config.query_size() + 2 * config.key_value_size() +
                    2 * config.intermediate_size;
  const Index values = std::min(windows, BatchWindows(window_tokens)) * window_tokens * row +
                       window_tokens * config.head_dim;
  return static_cast<std::uint64_t>(values) * sizeof(float) +
         static_cast<std::uint64_t>(threads) *
             AttentionScratch::Bytes(window_tokens, config.head_dim);
}

void BlockForward::Run(const BlockWeights& weights, HiddenStates* states, const InputTap& tap,
                       const std::function<void(Index)>& on_windows_done) {
  for (Index first = 0; first < states->windows(); first += batch_windows_) {
    const Index count = std::min(batch_windows_, states->windows() - first);
    Run(weights, states, first, count, tap);
    if (on_windows_done) on_windows_done(count);
  }
}

void BlockForward::Run(const BlockWeights& weights, HiddenStates* states, Index first, Index count,
                       const InputTap& tap) {
  DAQ_CHECK(
      states->window_tokens() == window_tokens_ && states->hidden_size() == config_.hidden_size,
      "states of this model and window");
  for (Index window = first; window < first + count; window += batch_windows_) {
    const Index windows = std::min(batch_windows_, first + count - window);
    RunBatch(weights, window, states->rows(window, windows), tap);
    states->Release(window, windows);
  }
}

void BlockForward::Observe(const BlockWeights& weights, HiddenStates* states, Index first,
                           Index count, const InputTap& tap) {
  for (Index window = first; window < first + count; window += batch_windows_) {
    const Index windows = std::min(batch_windows_, first + count - window);
    MatrixF copy = states->rows(window, windows);
    states->Release(window, windows);
    RunBatch(weights, window, copy, tap);
  }
}

void BlockForward::RunBatch(const BlockWeights& weights, Index first_window, MatrixView states,
                            const InputTap& tap) {
  const Index rows = states.rows();
  const auto normalise = [&](const VectorF& norm) {
    ForRowTiles(pool_, rows, [&](Index row, Index count) {
      RmsNorm(states.middleRows(row, count), norm, config_.rms_norm_eps,
              normed_.middleRows(row, count));
    });
  };
  const auto show = [&](LinearInput input, const ConstMatrixView& values) {
    if (tap) tap(input, first_window, values);
  };
  normalise(weights.attention_norm);
  show(LinearInput::kAttention, normed_.topRows(rows));
  Attend(weights, normed_.topRows(rows));
  show(LinearInput::kOutput, attended_.topRows(rows));
  AddProduct(attended_.topRows(rows), weights.output, states);

  normalise(weights.mlp_norm);
  show(LinearInput::kMlp, normed_.topRows(rows));
  Activate(weights, normed_.topRows(rows));
  show(LinearInput::kDown, gate_up_.topLeftCorner(rows, config_.intermediate_size));
  AddProduct(gate_up_.topLeftCorner(rows, config_.intermediate_size), weights.down, states);
}

void BlockForward::AttentionOutput(const BlockWeights& weights, const ConstMatrixView& input,
                                   MatrixView output) {
  Attend(weights, input);
  output.setZero();
  AddProduct(attended_.topRows(input.rows()), weights.output, output);
}

void BlockForward::MlpOutput(const BlockWeights& weights, const ConstMatrixView& input,
                             MatrixView output) {
  Activate(weights, input);
  output.setZero();
  AddProduct(gate_up_.topLeftCorner(input.rows(), config_.intermediate_size), weights.down, output);
}

// attended_ becomes the input of o.
void BlockForward::Attend(const BlockWeights& weights, const ConstMatrixView& input) {
  Multiply(input, weights.query_key_value, &query_key_value_);
  RotateHeads(input.rows() / window_tokens_);
  AttendHeads(input.rows() / window_tokens_);
}

// The gate's half of gate_up_ becomes the input of down.
void BlockForward::Activate(const BlockWeights& weights, const ConstMatrixView& input) {
  Multiply(input, weights.gate_up, &gate_up_);
  ActivateGate(input.rows());
}

void BlockForward::Multiply(const ConstMatrixView& input, const MatrixF& weight, MatrixF* to) {
  DAQ_CHECK(input.rows() % window_tokens_ == 0 && input.rows() <= to->rows(),
            "whole windows, no more than a batch");
  ForProductTiles(pool_, input.rows() / window_tokens_, window_tokens_, weight.rows(),
                  [&](Index row, Index count, Index output, Index outputs) {
                    MultiplyTransposed(input.middleRows(row, count),
                                       weight.middleRows(output, outputs),
                                       to->block(row, output, count, outputs));
                  });
}

void BlockForward::AddProduct(const ConstMatrixView& input, const MatrixF& weight, MatrixView to) {
  ForProductTiles(pool_, input.rows() / window_tokens_, window_tokens_, weight.rows(),
                  [&](Index row, Index count, Index output, Index outputs) {
                    AddProductTransposed(input.middleRows(row, count),
                                         weight.middleRows(output, outputs),
                                         to.block(row, output, count, outputs));
                  });
}

void BlockForward::RotateHeads(Index windows) {
  const Index heads =
      config_.num_heads + config_.num_kv_heads;  // queries and keys lie side by side
  ForRowTiles(pool_, windows * window_tokens_, [&](Index first_row, Index count) {
    for (Index row = first_row; row < first_row + count; ++row) {
      float* vectors = query_key_value_.data() + row * query_key_value_.cols();
      for (Index head = 0; head < heads; ++head)
        rope_.Rotate(row % window_tokens_, vectors + head * config_.head_dim);
    }
  });
}

void BlockForward::AttendHeads(Index windows) {
  const Index tiles = Tiles(window_tokens_, kQueryTile);
  pool_->ParallelFor(windows * config_.num_heads * tiles, [&](Index item, int worker) {
    // The longest tiles (the last queries) start first, so that no thread is left alone with one at
    // the end.
    const Index tile = tiles - 1 - item / (windows * config_.num_heads);
    const Index window = item % (windows * config_.num_heads) / config_.num_heads;
    AttendTile(config_, query_key_value_.middleRows(window * window_tokens_, window_tokens_),
               item % config_.num_heads, tile * kQueryTile,
               &attention_scratch_[static_cast<std::size_t>(worker)],
               attended_.middleRows(window * window_tokens_, window_tokens_));
  });
}

// The gate's half of gate_up_ becomes silu(gate) * up.
void BlockForward::ActivateGate(Index rows) {
  const Index n = config_.intermediate_size;
  ForRowTiles(pool_, rows, [&](Index first_row, Index count) {
    for (Index row = first_row; row < first_row + count; ++row) {
      float* gate = gate_up_.data() + row * gate_up_.cols();
      const float* up = gate + n;
      for (Index i = 0; i < n; ++i) {
        // The sigmoid through e^-|x|, which neither overflows nor loses digits.
        const float decay = Exp(-std::abs(gate[i]));
        const float sigmoid = (gate[i] >= 0.0F ? 1.0F : decay) / (1.0F + decay);
        gate[i] = gate[i] * sigmoid * up[i];
      }
    }
  });
}

}  // namespace daq
