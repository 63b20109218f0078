#include "eval/attention.h"

#include <algorithm>
#include <cmath>

#include "base/blas.h"
#include "base/exp.h"
#include "base/reduce.h"

namespace daq {
namespace {

// scores[0 .. count) become softmax(scale * scores), scores[count .. size) become 0.
void CausalSoftmax(float* scores, Index count, Index size, float scale) {
  float highest = scores[0];
  for (Index i = 1; i < count; ++i) highest = std::max(highest, scores[i]);
  for (Index i = 0; i < count; ++i) scores[i] = Exp((scores[i] - highest) * scale);
  const double sum = Sum(std::span<const float>(scores, static_cast<std::size_t>(count)));
  const auto factor = static_cast<float>(1.0 / sum);
  for (Index i = 0; i < count; ++i) scores[i] *= factor;
  std::fill(scores + count, scores + size, 0.0F);
}

}  // namespace

void AttendTile(const ModelConfig& config, const ConstMatrixView& query_key_value, Index head,
                Index first_query, AttentionScratch* scratch, MatrixView attended) {
  const Index d = config.head_dim;
  const Index queries = std::min(kQueryTile, query_key_value.rows() - first_query);
  const Index keys = first_query + queries;
  const Index kv_head = head / (config.num_heads / config.num_kv_heads);
  const Index key_column = config.query_size() + kv_head * d;
  const Index value_column = key_column + config.key_value_size();

  MatrixView scores = scratch->scores.topLeftCorner(queries, keys);
  MultiplyTransposed(query_key_value.block(first_query, head * d, queries, d),
                     query_key_value.block(0, key_column, keys, d), scores);
  const float scale = 1.0F / std::sqrt(static_cast<float>(d));
  for (Index row = 0; row < queries; ++row) {
    CausalSoftmax(scores.data() + row * scores.outerStride(), first_query + row + 1, keys, scale);
  }
  Multiply(scores, query_key_value.block(0, value_column, keys, d),
           attended.block(first_query, head * d, queries, d));
}

}  // namespace daq
