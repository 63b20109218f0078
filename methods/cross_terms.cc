#include "methods/cross_terms.h"

#include "base/blas.h"
#include "base/error.h"
#include "base/reduce.h"

namespace daq {
namespace {

// Products of rows of a and b.
double RowProduct(const MatrixD& a, const MatrixD& b, Index row) {
  const double* left = a.row(row).data();
  const double* right = b.row(row).data();
  return LaneSum(static_cast<std::size_t>(a.cols()),
                 [&](std::size_t i) { return left[i] * right[i]; });
}

}  // namespace

CrossTerms::CrossTerms(const LayerStatistics& statistics, Index columns,
                       std::span<const Index> features, ThreadPool* pool)
    : tokens_(static_cast<double>(statistics.tokens())) {
  const auto feature = [&](Index column) {
    return features.empty() ? column : features[static_cast<std::size_t>(column)];
  };
  if (statistics.has_inputs()) {
    const ConstMatrixView inputs = statistics.inputs();
    inputs_.resize(inputs.rows(), columns);
    for (Index column = 0; column < columns; ++column)
      inputs_.col(column) = inputs.col(feature(column)).cast<double>();
    transposed_ = inputs_.transpose();
    return;
  }
  gram_ = &statistics.gram(pool);
  if (features.empty()) return;
  own_gram_.resize(columns, columns);
  for (Index row = 0; row < columns; ++row) {
    for (Index column = 0; column < columns; ++column)
      own_gram_(row, column) = (*gram_)(feature(row), feature(column));
  }
  gram_ = &own_gram_;
}

CrossTerms::Tile::Tile(const CrossTerms& terms, MatrixD* error) : terms_(&terms), error_(error) {
  if (terms.gram_ != nullptr) return;
  outputs_.resize(error->rows(), terms.inputs_.rows());
  Multiply(*error, terms.transposed_, outputs_);
}

void CrossTerms::Tile::Linear(Index first, MatrixD* linear) const {
  const Index count = linear->cols();
  const MatrixD own = error_->middleCols(first, count);
  if (terms_->gram_ != nullptr) {
    const MatrixD& gram = *terms_->gram_;
    MatrixD own_part(linear->rows(), count);
    Multiply(*error_, gram.middleCols(first, count), *linear);
    Multiply(own, gram.block(first, first, count, count), own_part);
    *linear = (*linear - own_part) / terms_->tokens_;
    return;
  }
  MatrixD others(outputs_.rows(), outputs_.cols());
  Multiply(own, terms_->transposed_.middleRows(first, count), others);
  others = outputs_ - others;
  Multiply(others, terms_->inputs_.middleCols(first, count), *linear);
  *linear /= terms_->tokens_;
}

void CrossTerms::Tile::Replace(Index first, const MatrixD& replacement) {
  const Index count = replacement.cols();
  if (terms_->gram_ == nullptr) {
    const MatrixD change = replacement - error_->middleCols(first, count);
    MatrixD outputs(outputs_.rows(), outputs_.cols());
    Multiply(change, terms_->transposed_.middleRows(first, count), outputs);
    outputs_ += outputs;
  }
  error_->middleCols(first, count) = replacement;
}

VectorD CrossTerms::Tile::Losses() const {
  VectorD losses(error_->rows());
  if (terms_->gram_ == nullptr) {
    for (Index row = 0; row < losses.size(); ++row)
      losses[row] = RowProduct(outputs_, outputs_, row) / terms_->tokens_;
    return losses;
  }
  MatrixD product(error_->rows(), error_->cols());
  Multiply(*error_, *terms_->gram_, product);
  for (Index row = 0; row < losses.size(); ++row)
    losses[row] = RowProduct(*error_, product, row) / terms_->tokens_;
  return losses;
}

}  // namespace daq
