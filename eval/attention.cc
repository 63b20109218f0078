#include "eval/attention.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/exp.h"
#include "base/reduce.h"

namespace daq {
namespace {

// Queries whose scores are in cache together, of 2048 keys 192 KiB.
constexpr Index kQueryRows = 24;

// Floats from one query's scores to the next one's: not a multiple of a large power of two, so that
// the scores of several queries for one key have places in a cache side by side.
constexpr Index ScoresStride(Index window_tokens) { return window_tokens + 16; }

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

AttentionScratch::AttentionScratch(Index window_tokens)
    : scores_(kQueryRows, ScoresStride(window_tokens)) {}

std::uint64_t AttentionScratch::Bytes(Index window_tokens, Index head_dim) {
  return static_cast<std::uint64_t>(kQueryRows * ScoresStride(window_tokens) +
                                    PackedMatrix::Size(head_dim, window_tokens) +
                                    PackedMatrix::Size(window_tokens, head_dim)) *
         sizeof(float);
}

void AttendTile(const ModelConfig& config, const ConstMatrixView& query_key_value, Index head,
                Index first_query, AttentionScratch* scratch, MatrixView attended) {
  const Index d = config.head_dim;
  const Index end = std::min(first_query + kQueryTile, query_key_value.rows());
  const Index kv_head = head / (config.num_heads / config.num_kv_heads);
  const Index key_column = config.query_size() + kv_head * d;
  const Index value_column = key_column + config.key_value_size();
  scratch->keys_.PackTransposed(query_key_value.block(0, key_column, end, d));
  scratch->values_.Pack(query_key_value.block(0, value_column, end, d));

  const float scale = 1.0F / std::sqrt(static_cast<float>(d));
  for (Index query = first_query; query < end; query += kQueryRows) {
    const Index queries = std::min(kQueryRows, end - query);
    const Index keys = query + queries;
    MatrixView scores = scratch->scores_.topLeftCorner(queries, keys);
    MultiplyPacked(query_key_value.block(query, head * d, queries, d), scratch->keys_,
                   ProductUse::kAssign, scores);
    std::array<float, kQueryRows> inverse_sum;
    for (Index row = 0; row < queries; ++row) {
      inverse_sum[static_cast<std::size_t>(row)] = CausalExponentials(
          scores.data() + row * scores.outerStride(), query + row + 1, keys, scale);
    }
    MatrixView output = attended.block(query, head * d, queries, d);
    MultiplyPacked(scores, scratch->values_, ProductUse::kAssign, output);
    // Fewer numbers to divide than the scores.
    for (Index row = 0; row < queries; ++row)
      output.row(row) *= inverse_sum[static_cast<std::size_t>(row)];
  }
}

}  // namespace daq
