#pragma once
#include <span>
#include <vector>

#include "base/matrix.h"
#include "methods/layer_statistics.h"

namespace daq {

// A factor R of some input features' second moments: R^T R = X^T X / tokens over those features, so
// that the mean over tokens of (X e)^2 is |R e|^2 for any e. It has no more rows than there are
// features or tokens, the most energetic first: what adds up |R e|^2 row by row knows most of it
// early. Rows come in blocks of kBlock, the last filled up with zeros, and a block's columns lie
// one after the other: row-major order would make every access of a column a cache miss.
class InputFactor {
 public:
  static constexpr Index kBlock = 32;

  // Of no features.
  InputFactor() = default;

  // `columns`: R^T, [inputs, rows].
  explicit InputFactor(const ConstMatrixViewD& columns);

  Index inputs() const { return inputs_; }
  Index blocks() const { return blocks_; }

  // The length of column `input`, |R_i|.
  double Length(Index input) const { return lengths_[static_cast<std::size_t>(input)]; }

  // kBlock rows of column `input`.
  const double* Column(Index block, Index input) const {
    return data_.data() + (block * inputs_ + input) * kBlock;
  }

 private:
  Index inputs_ = 0;
  Index blocks_ = 0;
  MatrixD data_;                 // [blocks * inputs, kBlock]
  std::vector<double> lengths_;  // of the columns
};

// The factor of the inputs' columns `features`, in that order.
//
// With T tokens kept and no more of them than features, R = U^T X / sqrt(T) with the eigenvectors U
// of X X^T: a rotation of the inputs themselves, exact to rounding in every column. Otherwise R is
// the Cholesky factor of X^T X / T with the largest remaining energy first.
//
// Not for several threads at once where rows are no longer kept and statistics.gram() was not yet
// asked for.
InputFactor FactorInputs(const LayerStatistics& statistics, std::span<const Index> features,
                         ThreadPool* pool);

// The first rows of a factor R, and the rest of it as if errors of different inputs had nothing to
// do with each other there: |R e|^2 is about |leading e|^2 + sum of rest[i] e[i]^2.
struct LeadingRows {
  InputFactor leading;
  std::vector<double> rest;  // of each input, the sum of squares of its entries in the other rows
};

// `rows` >= 1; all there are if there are not as many.
LeadingRows TakeLeadingRows(const InputFactor& factor, Index rows);

// The factors of the groups that share a scale.
class GroupFactors {
 public:
  // Of `columns` features in groups of `length`, which divides them; column c is the statistics'
  // column features[c], or c where `features` is empty. Without `features` the factors are kept
  // with the statistics, for other layers and recipes; `statistics` must then outlive this.
  GroupFactors(const LayerStatistics& statistics, Index columns, std::span<const Index> features,
               Index length, ThreadPool* pool);

  const InputFactor& operator[](Index group) const {
    const std::vector<InputFactor>& factors = shared_ != nullptr ? *shared_ : own_;
    return factors[static_cast<std::size_t>(group)];
  }

 private:
  const std::vector<InputFactor>* shared_ = nullptr;
  std::vector<InputFactor> own_;
};

}  // namespace daq
