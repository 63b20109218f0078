#pragma once
#include <any>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "base/thread_pool.h"

namespace daq {

// What is known of one linear layer's inputs x on the calibration tokens. Shared by all recipes.
//
// Everything that a linear layer's outputs depend on is kept in the smaller of two forms: the rows
// themselves while there are no more tokens than in_features, afterwards only the Gram matrix
// X^T X. So memory does not grow with the calibration text. Not thread-safe: one thread adds and
// asks, and shares out the work over its pool.
class LayerStatistics {
 public:
  // Of no tokens yet. They will be read after `read_at` tokens (ascending): the sizes of an
  // ablation over calibration size, which are prefixes of each other.
  LayerStatistics(Index in_features, std::vector<Index> read_at);

  // Of the rows of `inputs`, [tokens, in_features].
  LayerStatistics(const ConstMatrixView& inputs, ThreadPool* pool);

  // Adds the inputs of one window's tokens, [tokens, in_features]. Whole windows in the same order
  // give the same bits, whatever else is in `read_at` and however many threads add.
  void Add(const ConstMatrixView& window, ThreadPool* pool);

  Index tokens() const { return tokens_; }
  Index in_features() const { return in_features_; }

  // True while tokens() <= in_features(): `inputs` may be asked for.
  bool has_inputs() const { return tokens_ <= in_features_; }

  // All rows so far, [tokens, in_features].
  ConstMatrixView inputs() const;

  // X^T X, [in_features, in_features], symmetric: products and sums in double. Computed at the
  // first call where the rows are kept.
  const MatrixD& gram(ThreadPool* pool) const;

  // Mean over tokens of |x|, [in_features].
  VectorD mean_absolute() const;

  // Mean over tokens of x^2, [in_features].
  VectorD mean_square() const;

  // Every n-th row, n = max(1, tokens / 512): the subsample of llm-awq's auto_clip_layer. tokens()
  // must be one of `read_at`.
  const MatrixF& sample() const;

  // The statistics of the inputs with column c divided by divisor[c] (> 0), as a transform that
  // multiplies the weights' columns leaves them. Only what `read_at` the present tokens needs.
  LayerStatistics Divided(const VectorF& divisor) const;

  // What a part derives from these statistics (a factorisation, say) and recipes share: made by
  // `make` at the first call with this key, kept until tokens are added. `key` begins with the
  // part's name and names everything that `make` depends on besides the statistics.
  template <typename Value>
  const Value& Derived(const std::string& key, const std::function<Value()>& make) const {
    auto found = derived_.find(key);
    if (found == derived_.end()) found = derived_.emplace(key, std::any(make())).first;
    return std::any_cast<const Value&>(found->second);
  }

 private:
  void AddToGram(const ConstMatrixView& rows, ThreadPool* pool, MatrixD* gram) const;

  Index in_features_;
  std::vector<Index> read_at_;
  Index tokens_ = 0;
  std::vector<Index> window_ends_;  // of the windows whose rows are kept
  MatrixF rows_;                    // the first `tokens_` are in use, while these are kept
  mutable MatrixD gram_;            // upper triangle; both once asked for
  mutable bool gram_is_complete_ = false;
  VectorD absolute_sum_;
  VectorD square_sum_;
  std::vector<MatrixF> samples_;  // one for each of read_at_
  mutable std::map<std::string, std::any> derived_;
};

// sum over tokens and outputs of (x . w)^2 for the rows w of `weight`, [outputs, in_features]: of a
// difference of two weights, the squared error of the layer's output. In double from the Gram
// matrix, in float32 products with double sums from the rows, whichever is kept.
double SquaredOutputs(const ConstMatrixView& weight, const LayerStatistics& statistics,
                      ThreadPool* pool);

// The same of a weight of `outputs` rows that need not exist as a whole: fill(first, rows) writes
// its rows [first, first + rows.rows()); several threads call it at once.
double SquaredOutputs(Index outputs, const std::function<void(Index first, MatrixView rows)>& fill,
                      const LayerStatistics& statistics, ThreadPool* pool);

}  // namespace daq
