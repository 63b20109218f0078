#include "eval/attention.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/blas.h"
#include "base/exp.h"
#include "base/reduce.h"

namespace daq {
namespace {

// The largest of count >= 1 numbers. In lanes, which the compiler makes vector code of: a maximum
// does not depend on the order.
float Largest(const float* numbers, Index count) {
  constexpr Index kLanes = 32;
  std::array<float, kLanes> lane;
  lane.fill(numbers[0]);
  Index i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (Index k = 0; k < kLanes; ++k) {
      float& largest = lane[static_cast<std::size_t>(k)];
      largest = numbers[i + k] > largest ? numbers[i + k] : largest;
    }
  }
  for (; i < count; ++i) lane[0] = std::max(lane[0], numbers[i]);
  return *std::max_element(lane.begin(), lane.end());
}

// scores[0 .. count) become exp(scale * (scores - their maximum)), scores[count .. size) become 0.
// Returns the sum's inverse: what makes a softmax of them.
float CausalExponentials(float* scores, Index count, Index size, float scale) {
  const float highest = Largest(scores, count);
  for (Index i = 0; i < count; ++i) scores[i] = Exp((scores[i] - highest) * scale);
  std::fill(scores + count, scores + size, 0.0F);
  return static_cast<float>(1.0 /
                            Sum(std::span<const float>(scores, static_cast<std::size_t>(count))));
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
  std::array<float, kQueryTile> inverse_sum;
  for (Index row = 0; row < queries; ++row) {
    inverse_sum[static_cast<std::size_t>(row)] = CausalExponentials(
        scores.data() + row * scores.outerStride(), first_query + row + 1, keys, scale);
  }
  MatrixView output = attended.block(first_query, head * d, queries, d);
  Multiply(scores, query_key_value.block(0, value_column, keys, d), output);
  // Fewer numbers to divide than the scores.
  for (Index row = 0; row < queries; ++row)
    output.row(row) *= inverse_sum[static_cast<std::size_t>(row)];
}

}  // namespace daq
