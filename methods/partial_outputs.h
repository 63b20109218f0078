#pragma once
#include <span>
#include <vector>

#include "base/matrix.h"
#include "base/thread_pool.h"
#include "methods/layer_statistics.h"

namespace daq {

// What an error in one group of a row's weights does to the group's own part of the row's output,
// on the token sample of the layer's statistics: for searches that solve groups one by one.
//
// A group is a run of `length` columns. Kept is the smaller of two forms: the group's columns of
// the sample, or, where the sample has more tokens than the group has columns, their Gram matrix.
// Read-only once made: several threads may ask at once.
class PartialOutputs {
 public:
  // For a weight of `columns` columns in groups of `length`, which divides them; `features` is
  // LayerContext::columns. The statistics must outlive this.
  PartialOutputs(const LayerStatistics& statistics, std::span<const Index> features, Index columns,
                 Index length, ThreadPool* pool);

  // means[r] = mean over the sample's tokens of (x . d)^2, where d is row r of `errors`, [rows,
  // length], and x the group's inputs. Differences of weights are multiplied, outputs are never
  // subtracted. From the columns: products in float32, squares and sums in double, so the relative
  // error is that of a float32 dot product. From the Gram matrix: all in double, never below 0.
  void MeanSquares(Index group, const MatrixF& errors, std::span<double> means) const;

 private:
  Index tokens_;
  Index length_;
  const MatrixF* inputs_;      // [tokens, columns]: the sample, or gathered_
  MatrixF gathered_;           // the sample's columns in the weight's order, where that differs
  std::vector<MatrixD> gram_;  // a group's X^T X, [length, length]; empty: the columns are used
};

}  // namespace daq
