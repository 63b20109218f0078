#pragma once
#include <vector>

#include "base/matrix.h"
#include "eval/model_config.h"

namespace daq {

// Rows of queries that one piece of attention work handles. Fixed: results must not depend on the
// threads.
inline constexpr Index kQueryTile = 128;

// Scratch space of one worker.
struct AttentionScratch {
  MatrixF scores;  // [kQueryTile, window_tokens]
  explicit AttentionScratch(Index window_tokens) : scores(kQueryTile, window_tokens) {}
};

// Causal attention of one head for the queries [first_query, first_query + kQueryTile) of one
// window, cut at its end: out = softmax(q k^T / sqrt(head_dim)) v. Only keys up to the tile's last
// query are multiplied: the tiles above the diagonal cost nothing. query_key_value: [tokens,
// query_size + 2 * key_value_size], rotated; attended: [tokens, query_size].
void AttendTile(const ModelConfig& config, const ConstMatrixView& query_key_value, Index head,
                Index first_query, AttentionScratch* scratch, MatrixView attended);

}  // namespace daq
