#include "methods/layer_statistics.h"

#include <algorithm>
#include <utility>

#include "base/blas.h"
#include "base/error.h"
#include "base/float_product.h"
#include "base/reduce.h"

namespace daq {
namespace {

// Pieces of work, of fixed sizes: a sum's order must not depend on the number of threads.
constexpr Index kTokenChunk = 512;
constexpr Index kGramTile = 256;
constexpr Index kColumnsPerItem = 256;
constexpr Index kOutputTile = 64;
constexpr Index kTokenTile = 256;

constexpr Index kSampleTokens = 512;  // llm-awq auto_clip_layer, n_sample_token

Index SampleStep(Index tokens) { return std::max<Index>(1, tokens / kSampleTokens); }

Index Tiles(Index size, Index tile) { return (size + tile - 1) / tile; }

double SquaredEntries(const MatrixF& matrix) {
  return SquaredNorm({matrix.data(), static_cast<std::size_t>(matrix.size())});
}

// sum of (x . w)^2 over the rows x of `inputs` and w of `weight`.
double SquaredProducts(const ConstMatrixView& inputs, const MatrixF& weight) {
  double sum = 0;
  for (Index token = 0; token < inputs.rows(); token += kTokenTile) {
    const Index tokens = std::min(kTokenTile, inputs.rows() - token);
    MatrixF product(tokens, weight.rows());
    MultiplyTransposed(inputs.middleRows(token, tokens), weight, product);
    sum += SquaredEntries(product);
  }
  return sum;
}

// sum of w^T G w over the rows w of `weight`.
double GramForm(const MatrixD& gram, const MatrixF& weight) {
  const MatrixD rows = weight.cast<double>();
  MatrixD product(rows.rows(), rows.cols());
  Multiply(rows, gram, product);
  return LaneSum(static_cast<std::size_t>(rows.size()),
                 [&](std::size_t i) { return rows.data()[i] * product.data()[i]; });
}

}  // namespace

LayerStatistics::LayerStatistics(Index in_features, std::vector<Index> read_at)
    : in_features_(in_features),
      read_at_(std::move(read_at)),
      absolute_sum_(VectorD::Zero(in_features)),
      square_sum_(VectorD::Zero(in_features)),
      samples_(read_at_.size()) {
  DAQ_CHECK(in_features > 0 && !read_at_.empty() && read_at_.front() > 0 &&
                std::is_sorted(read_at_.begin(), read_at_.end()),
            "token counts in ascending order");
  rows_.resize(std::min(read_at_.back(), in_features), in_features);
  for (std::size_t i = 0; i < samples_.size(); ++i)
    samples_[i].resize(Tiles(read_at_[i], SampleStep(read_at_[i])), in_features);
}

LayerStatistics::LayerStatistics(const ConstMatrixView& inputs, ThreadPool* pool)
    : LayerStatistics(inputs.cols(), std::vector<Index>{inputs.rows()}) {
  Add(inputs, pool);
}

void LayerStatistics::Add(const ConstMatrixView& window, ThreadPool* pool) {
  DAQ_CHECK(window.cols() == in_features_ && tokens_ + window.rows() <= read_at_.back(),
            "inputs of this layer, no more than announced");
  derived_.clear();
  const Index first = tokens_;
  pool->ParallelFor(Tiles(in_features_, kColumnsPerItem), [&](Index item, int) {
    const Index column = item * kColumnsPerItem;
    const Index columns = std::min(kColumnsPerItem, in_features_ - column);
    for (Index row = 0; row < window.rows(); ++row) {
      for (Index c = column; c < column + columns; ++c) {
        const auto value = static_cast<double>(window(row, c));
        absolute_sum_[c] += std::abs(value);
        square_sum_[c] += value * value;
      }
    }
  });
  for (std::size_t i = 0; i < read_at_.size(); ++i) {
    const Index step = SampleStep(read_at_[i]);
    for (Index row = 0; row < window.rows() && first + row < read_at_[i]; ++row) {
      if ((first + row) % step == 0) samples_[i].row((first + row) / step) = window.row(row);
    }
  }
  const bool keep_rows = first + window.rows() <= in_features_;
  if (keep_rows) {
    rows_.middleRows(first, window.rows()) = window;
    gram_.resize(0, 0);
  } else {
    if (has_inputs()) {  // the rows kept so far become a Gram matrix, window by window
      gram_ = MatrixD::Zero(in_features_, in_features_);
      Index begin = 0;
      for (const Index end : std::exchange(window_ends_, {})) {
        AddToGram(rows_.middleRows(begin, end - begin), pool, &gram_);
        begin = end;
      }
      rows_.resize(0, 0);
    }
    AddToGram(window, pool, &gram_);
  }
  gram_is_complete_ = false;
  tokens_ += window.rows();
  if (keep_rows) window_ends_.push_back(tokens_);
}

ConstMatrixView LayerStatistics::inputs() const {
  DAQ_CHECK(has_inputs(), "rows are kept up to in_features tokens");
  return rows_.topRows(tokens_);
}

// Adds to the upper triangle.
void LayerStatistics::AddToGram(const ConstMatrixView& rows, ThreadPool* pool,
                                MatrixD* gram) const {
  const Index tiles = Tiles(in_features_, kGramTile);
  std::vector<std::pair<Index, Index>> pairs;
  for (Index i = 0; i < tiles; ++i) {
    for (Index j = i; j < tiles; ++j) pairs.emplace_back(i * kGramTile, j * kGramTile);
  }
  for (Index first = 0; first < rows.rows(); first += kTokenChunk) {
    const MatrixD chunk =
        rows.middleRows(first, std::min(kTokenChunk, rows.rows() - first)).cast<double>();
    pool->ParallelFor(static_cast<Index>(pairs.size()), [&](Index item, int) {
      const auto [i, j] = pairs[static_cast<std::size_t>(item)];
      const Index width_i = std::min(kGramTile, in_features_ - i);
      const Index width_j = std::min(kGramTile, in_features_ - j);
      AddTransposedProduct(chunk.middleCols(i, width_i), chunk.middleCols(j, width_j),
                           gram->block(i, j, width_i, width_j));
    });
  }
}

const MatrixD& LayerStatistics::gram(ThreadPool* pool) const {
  if (gram_.size() == 0) {
    gram_ = MatrixD::Zero(in_features_, in_features_);
    Index begin = 0;
    for (const Index end : window_ends_) {
      AddToGram(rows_.middleRows(begin, end - begin), pool, &gram_);
      begin = end;
    }
    gram_is_complete_ = false;
  }
  if (!gram_is_complete_) {
    gram_.triangularView<Eigen::StrictlyLower>() = gram_.transpose();
    gram_is_complete_ = true;
  }
  return gram_;
}

VectorD LayerStatistics::mean_absolute() const {
  return absolute_sum_ / static_cast<double>(tokens_);
}

VectorD LayerStatistics::mean_square() const { return square_sum_ / static_cast<double>(tokens_); }

const MatrixF& LayerStatistics::sample() const {
  const auto found = std::find(read_at_.begin(), read_at_.end(), tokens_);
  DAQ_CHECK(found != read_at_.end(), "a sample is drawn for announced token counts only");
  return samples_[static_cast<std::size_t>(found - read_at_.begin())];
}

LayerStatistics LayerStatistics::Divided(const VectorF& divisor) const {
  DAQ_CHECK(divisor.size() == in_features_ && (divisor.array() > 0).all(), "a divisor a column");
  LayerStatistics divided(in_features_, {tokens_});
  divided.tokens_ = tokens_;
  divided.samples_[0] = sample().array().rowwise() / divisor.transpose().array();
  const VectorD factor = divisor.cast<double>().cwiseInverse();
  divided.absolute_sum_ = absolute_sum_.cwiseProduct(factor);
  divided.square_sum_ = square_sum_.cwiseProduct(factor).cwiseProduct(factor);
  if (has_inputs()) {
    divided.window_ends_ = window_ends_;
    divided.rows_ = rows_.topRows(tokens_).array().rowwise() / divisor.transpose().array();
  } else {
    divided.rows_.resize(0, 0);
    divided.gram_ = factor.asDiagonal() * gram_ * factor.asDiagonal();
    divided.gram_is_complete_ = gram_is_complete_;
  }
  return divided;
}

double SquaredOutputs(const ConstMatrixView& weight, const LayerStatistics& statistics,
                      ThreadPool* pool) {
  DAQ_CHECK(weight.cols() == statistics.in_features(), "a weight of this layer");
  return SquaredOutputs(
      weight.rows(),
      [&](Index first, MatrixView rows) { rows = weight.middleRows(first, rows.rows()); },
      statistics, pool);
}

double SquaredOutputs(Index outputs, const std::function<void(Index first, MatrixView rows)>& fill,
                      const LayerStatistics& statistics, ThreadPool* pool) {
  const Index columns = statistics.in_features();
  const MatrixD* gram = statistics.has_inputs() ? nullptr : &statistics.gram(pool);
  std::vector<double> sums(static_cast<std::size_t>(Tiles(outputs, kOutputTile)));
  pool->ParallelFor(static_cast<Index>(sums.size()), [&](Index tile, int) {
    const Index first = tile * kOutputTile;
    MatrixF rows(std::min(kOutputTile, outputs - first), columns);
    fill(first, rows);
    double& sum = sums[static_cast<std::size_t>(tile)];
    sum = gram == nullptr ? SquaredProducts(statistics.inputs(), rows) : GramForm(*gram, rows);
  });
  return Sum(sums);
}

}  // namespace daq
