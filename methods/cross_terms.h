#pragma once
#include <span>

#include "base/matrix.h"
#include "methods/layer_statistics.h"

namespace daq {

// What the groups of a row owe each other when their outputs are added up. With e = w' - w of a
// tile of rows, [tile, columns], the loss of a row is the mean over tokens of (X e)^2; seen from
// group j, the others' errors add 2 v . e_j to the group's own, with v = X_j^T (X e - X_j e_j) / T.
// Computed from the inputs' rows while these are kept, from the Gram matrix afterwards. Shared by
// threads.
class CrossTerms {
 public:
  // Column c is the statistics' column features[c], or c where `features` is empty.
  CrossTerms(const LayerStatistics& statistics, Index columns, std::span<const Index> features,
             ThreadPool* pool);

  // The state of one tile: one thread's.
  class Tile {
   public:
    // error: [tile, columns], must outlive this.
    Tile(const CrossTerms& terms, MatrixD* error);

    // v of columns [first, first + linear.cols()) for every row, [tile, group length].
    void Linear(Index first, MatrixD* linear) const;

    // To be called after columns [first, first + count) of the errors have become `replacement`.
    void Replace(Index first, const MatrixD& replacement);

    // mean over tokens of (X e)^2 for every row.
    VectorD Losses() const;

   private:
    const CrossTerms* terms_;
    MatrixD* error_;
    MatrixD outputs_;  // e X^T, [tile, tokens]; empty with a Gram matrix
  };

 private:
  double tokens_;
  MatrixD inputs_;      // [tokens, columns]; empty with a Gram matrix
  MatrixD transposed_;  // [columns, tokens]
  MatrixD own_gram_;    // of the chosen columns, where they are not all of them
  const MatrixD* gram_ = nullptr;
};

}  // namespace daq
