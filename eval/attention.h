#pragma once
#include <cstdint>

#include "base/float_product.h"
#include "base/matrix.h"
#include "eval/model_config.h"

namespace daq {

// Queries that one piece of attention work handles. Fixed: results must not depend on the threads.
inline constexpr Index kQueryTile = 512;

// Scratch space of one worker.
class AttentionScratch {
 public:
  AttentionScratch() = default;
  explicit AttentionScratch(Index window_tokens);

  // Bytes that it takes.
  static std::uint64_t Bytes(Index window_tokens, Index head_dim);

 private:
  friend void AttendTile(const ModelConfig&, const ConstMatrixView&, Index, Index,
                         AttentionScratch*, MatrixView);

  MatrixF scores_;       // of a few queries with all keys
  PackedMatrix keys_;    // [head_dim, keys]
  PackedMatrix values_;  // [keys, head_dim]
};

// Causal attention of one head for the queries [first_query, first_query + kQueryTile) of one
// window, cut at its end: out = softmax(q k^T / sqrt(head_dim)) v. A query is multiplied with the
// keys up to its own and at most a few behind it. query_key_value: [tokens, query_size + 2 *
// key_value_size], rotated; attended: [tokens, query_size].
void AttendTile(const ModelConfig& config, const ConstMatrixView& query_key_value, Index head,
                Index first_query, AttentionScratch* scratch, MatrixView attended);

}  // namespace daq
