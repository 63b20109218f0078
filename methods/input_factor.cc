#include "methods/input_factor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "base/blas.h"
#include "base/error.h"

namespace daq {
namespace {

// From the rows of the inputs, transposed: [features, tokens], tokens <= features.
InputFactor RotateRows(const MatrixD& transposed) {
  const Index tokens = transposed.cols();
  MatrixD vectors = MatrixD::Zero(tokens, tokens);
  AddTransposedProduct(transposed, transposed, vectors);
  DecomposeSymmetric(&vectors);
  // The largest eigenvalue is the last.
  const MatrixD basis =
      vectors.colwise().reverse().transpose() / std::sqrt(static_cast<double>(tokens));
  MatrixD columns(transposed.rows(), tokens);
  Multiply(transposed, basis, columns);
  return InputFactor(columns);
}

// An eigen-decomposition would order the energies best, but takes tens of times as long.
InputFactor FactorGram(MatrixD gram, Index tokens) {
  const PivotedFactor factor = FactorSemidefinite(&gram);
  const double per_root = 1 / std::sqrt(static_cast<double>(tokens));
  MatrixD columns = MatrixD::Zero(gram.rows(), std::max<Index>(factor.rank, 1));
  for (Index row = 0; row < factor.rank; ++row) {
    for (Index j = row; j < gram.cols(); ++j)
      columns(factor.order[static_cast<std::size_t>(j)], row) = gram(row, j) * per_root;
  }
  return InputFactor(columns);
}

std::vector<Index> FeaturesOf(Index group, Index length, std::span<const Index> features) {
  std::vector<Index> part(static_cast<std::size_t>(length));
  std::iota(part.begin(), part.end(), group * length);
  if (features.empty()) return part;
  for (Index& column : part) column = features[static_cast<std::size_t>(column)];
  return part;
}

}  // namespace

InputFactor::InputFactor(const ConstMatrixViewD& columns)
    : inputs_(columns.rows()),
      blocks_((columns.cols() + kBlock - 1) / kBlock),
      data_(MatrixD::Zero(blocks_ * inputs_, kBlock)) {
  for (Index block = 0; block < blocks_; ++block) {
    const Index first = block * kBlock;
    const Index rows = std::min(kBlock, columns.cols() - first);
    data_.block(block * inputs_, 0, inputs_, rows) = columns.middleCols(first, rows);
  }
  for (Index input = 0; input < inputs_; ++input) lengths_.push_back(columns.row(input).norm());
}

InputFactor FactorInputs(const LayerStatistics& statistics, std::span<const Index> features,
                         ThreadPool* pool) {
  const auto count = static_cast<Index>(features.size());
  const Index tokens = statistics.tokens();
  DAQ_CHECK(count > 0 && tokens > 0, "features and tokens to factor");
  if (!statistics.has_inputs()) {
    const MatrixD& whole = statistics.gram(pool);
    return FactorGram(MatrixD::NullaryExpr(count, count,
                                           [&](Index row, Index col) {
                                             return whole(features[static_cast<std::size_t>(row)],
                                                          features[static_cast<std::size_t>(col)]);
                                           }),
                      tokens);
  }
  const ConstMatrixView inputs = statistics.inputs();
  MatrixD transposed(count, tokens);
  for (Index i = 0; i < count; ++i) {
    transposed.row(i) =
        inputs.col(features[static_cast<std::size_t>(i)]).transpose().cast<double>();
  }
  if (tokens <= count) return RotateRows(transposed);
  const MatrixD rows = transposed.transpose();
  MatrixD gram = MatrixD::Zero(count, count);
  AddTransposedProduct(rows, rows, gram);
  return FactorGram(std::move(gram), tokens);
}

LeadingRows TakeLeadingRows(const InputFactor& factor, Index rows) {
  DAQ_CHECK(rows >= 1, "a row");
  const Index inputs = factor.inputs();
  MatrixD leading(inputs, std::min(rows, factor.blocks() * InputFactor::kBlock));
  std::vector<double> rest(static_cast<std::size_t>(inputs));
  for (Index block = 0; block < factor.blocks(); ++block) {
    const Index first = block * InputFactor::kBlock;
    const Index kept = std::clamp(leading.cols() - first, Index{0}, InputFactor::kBlock);
    for (Index input = 0; input < inputs; ++input) {
      const double* column = factor.Column(block, input);
      for (Index row = 0; row < kept; ++row) leading(input, first + row) = column[row];
      double& energy = rest[static_cast<std::size_t>(input)];
      for (Index row = kept; row < InputFactor::kBlock; ++row) energy += column[row] * column[row];
    }
  }
  return {.leading = InputFactor(leading), .rest = std::move(rest)};
}

GroupFactors::GroupFactors(const LayerStatistics& statistics, Index columns,
                           std::span<const Index> features, Index length, ThreadPool* pool) {
  DAQ_CHECK(features.empty() ? columns == statistics.in_features()
                             : columns == static_cast<Index>(features.size()),
            "a feature a column");
  const auto make = [&] {
    if (!statistics.has_inputs()) statistics.gram(pool);  // before threads ask for it
    std::vector<InputFactor> factors(static_cast<std::size_t>(columns / length));
    pool->ParallelFor(columns / length, [&](Index group, int) {
      factors[static_cast<std::size_t>(group)] =
          FactorInputs(statistics, FeaturesOf(group, length, features), nullptr);
    });
    return factors;
  };
  if (features.empty()) {
    shared_ = &statistics.Derived<std::vector<InputFactor>>(
        fmt::format("input factors of groups of {}", length), make);
  } else {
    own_ = make();
  }
}

}  // namespace daq
