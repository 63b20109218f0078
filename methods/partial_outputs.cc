#include "methods/partial_outputs.h"

#include <algorithm>

#include "base/blas.h"
#include "base/error.h"
#include "base/float_product.h"
#include "base/reduce.h"

namespace daq {

PartialOutputs::PartialOutputs(const LayerStatistics& statistics, std::span<const Index> features,
                               Index columns, Index length, ThreadPool* pool)
    : tokens_(statistics.sample().rows()), length_(length), inputs_(&statistics.sample()) {
  DAQ_CHECK(length > 0 && columns % length == 0, "whole groups");
  if (features.empty()) {
    DAQ_CHECK(columns == statistics.in_features(), "a weight of this layer");
  } else {
    DAQ_CHECK(columns == static_cast<Index>(features.size()), "an input feature for each column");
    gathered_.resize(tokens_, columns);
    for (Index token = 0; token < tokens_; ++token) {
      for (Index column = 0; column < columns; ++column)
        gathered_(token, column) = (*inputs_)(token, features[static_cast<std::size_t>(column)]);
    }
    inputs_ = &gathered_;
  }
  if (tokens_ <= length) return;
  gram_.resize(static_cast<std::size_t>(columns / length));
  pool->ParallelFor(columns / length, [&](Index group, int) {
    const MatrixD inputs = inputs_->middleCols(group * length, length).cast<double>();
    MatrixD& gram = gram_[static_cast<std::size_t>(group)];
    gram = MatrixD::Zero(length, length);
    AddTransposedProduct(inputs, inputs, gram);
  });
}

void PartialOutputs::MeanSquares(Index group, const MatrixF& errors,
                                 std::span<double> means) const {
  DAQ_CHECK(errors.cols() == length_ && errors.rows() == static_cast<Index>(means.size()),
            "errors of one group, a result for each");
  const auto tokens = static_cast<double>(tokens_);
  if (gram_.empty()) {
    MatrixF outputs(errors.rows(), tokens_);
    MultiplyTransposed(errors, inputs_->middleCols(group * length_, length_), outputs);
    for (Index row = 0; row < errors.rows(); ++row) {
      means[static_cast<std::size_t>(row)] =
          SquaredNorm({outputs.row(row).data(), static_cast<std::size_t>(tokens_)}) / tokens;
    }
    return;
  }
  const MatrixD rows = errors.cast<double>();
  MatrixD product(rows.rows(), length_);
  Multiply(rows, gram_[static_cast<std::size_t>(group)], product);
  for (Index row = 0; row < rows.rows(); ++row) {
    const double* error = rows.row(row).data();
    const double* with_gram = product.row(row).data();
    const double sum = LaneSum(static_cast<std::size_t>(length_),
                               [&](std::size_t i) { return error[i] * with_gram[i]; });
    // A sum of squares; rounding could leave -1e-17 of one that is 0.
    means[static_cast<std::size_t>(row)] = std::max(0.0, sum / tokens);
  }
}

}  // namespace daq
