#include "methods/layer_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/reduce.h"
#include "methods/quantile.h"

namespace daq {
namespace {

constexpr Index kRowsPerItem = 16;

constexpr double kClipTolerance =
    1e-5;  // of the interval: the rounding of scale and zero-point is no clipping

// What is summed over a row.
struct RowSums {
  double squared_error = 0;
  double squared_weight = 0;
  double lowest = 0;
  double highest = 0;
  double dense_center = 0;
  double dense_width = 0;
  double range_center = 0;  // sums over the row's groups
  double range_width = 0;
  Index clipped = 0;
};

using CodeCounts = std::array<std::int64_t, 256>;

std::span<const float> RowOf(const ConstMatrixView& matrix, Index row) {
  return {matrix.row(row).data(), static_cast<std::size_t>(matrix.cols())};
}

void SumDensity(std::span<const float> weights, std::vector<float>* scratch, RowSums* sums) {
  scratch->assign(weights.begin(), weights.end());
  const double low = Quantile(*scratch, 0.025);
  const double high = Quantile(*scratch, 0.975);
  sums->dense_center = (low + high) / 2;
  sums->dense_width = high - low;
}

void SumGroups(std::span<const float> weights, const QuantizedMatrix& quantized, Index row,
               RowSums* sums) {
  const Codebook& book = quantized.format.codebook;
  const auto length =
      static_cast<std::size_t>(GroupLength(quantized.format, quantized.in_features));
  for (Index group = 0; group < quantized.grid.scale.cols(); ++group) {
    const auto scale = static_cast<double>(quantized.grid.scale(row, group));
    const auto zero_point = static_cast<double>(quantized.grid.zero_point(row, group));
    const double first = (static_cast<double>(book.first()) - zero_point) * scale;
    const double last = (static_cast<double>(book.last()) - zero_point) * scale;
    sums->range_center += (first + last) / 2;
    sums->range_width += last - first;
    const double slack = kClipTolerance * (last - first);
    for (const float weight : weights.subspan(static_cast<std::size_t>(group) * length, length)) {
      const auto value = static_cast<double>(weight);
      sums->clipped += (value < first - slack ? 1 : 0) + (value > last + slack ? 1 : 0);
    }
  }
}

// Buffers of one thread.
struct Scratch {
  std::vector<float> values;
  std::vector<std::uint8_t> codes;
  MatrixF restored;
  CodeCounts counts{};  // whole numbers: their sum over threads does not depend on who counted what
};

RowSums SumRow(const ConstMatrixView& weight, const QuantizedMatrix& quantized, Index row,
               Scratch* scratch) {
  const std::span<const float> weights = RowOf(weight, row);
  RowSums sums;
  scratch->restored.resize(1, weight.cols());
  DequantizeRows(quantized, row, scratch->restored);
  sums.squared_error = SquaredDistance(weights, RowOf(scratch->restored, 0));
  sums.squared_weight = SquaredNorm(weights);
  const auto [lowest, highest] = std::minmax_element(weights.begin(), weights.end());
  sums.lowest = static_cast<double>(*lowest);
  sums.highest = static_cast<double>(*highest);
  SumDensity(weights, &scratch->values, &sums);
  const std::vector<std::int32_t>& order = quantized.column_order;
  if (order.empty()) {
    SumGroups(weights, quantized, row, &sums);
  } else {  // groups are of stored positions
    for (std::size_t p = 0; p < order.size(); ++p)
      scratch->values[p] = weights[static_cast<std::size_t>(order[p])];
    SumGroups(scratch->values, quantized, row, &sums);
  }
  scratch->codes.resize(weights.size());
  UnpackRow(quantized, row, scratch->codes);
  for (const std::uint8_t code : scratch->codes) ++scratch->counts[code];
  return sums;
}

double Total(const std::vector<RowSums>& rows, double RowSums::*member) {
  return LaneSum(rows.size(), [&](std::size_t row) { return rows[row].*member; });
}

double Entropy(const std::vector<Scratch>& threads, double total) {
  return LaneSum(std::tuple_size_v<CodeCounts>, [&](std::size_t code) {
    std::int64_t count = 0;
    for (const Scratch& thread : threads) count += thread.counts[code];
    const double share = static_cast<double>(count) / total;
    return count == 0 ? 0.0 : -share * std::log2(share);
  });
}

// A quotient of sums of squares; nothing of nothing is no error.
double Relative(double error, double reference) {
  if (reference > 0) return error / reference;
  return error > 0 ? std::numeric_limits<double>::infinity() : 0;
}

// What the layer's own outputs add up to is the same for all recipes.
double SquaredOutputsOfLayer(const ConstMatrixView& weight, const LayerContext& layer) {
  return layer.statistics->Derived<double>("report squared outputs of " + layer.name, [&] {
    return SquaredOutputs(weight, *layer.statistics, layer.pool);
  });
}

}  // namespace

double SquaredOutputError(const ConstMatrixView& weight, const QuantizedMatrix& quantized,
                          const LayerContext& layer) {
  return SquaredOutputs(
      weight.rows(),
      [&](Index first, MatrixView rows) {
        DequantizeRows(quantized, first, rows);
        rows -= weight.middleRows(first, rows.rows());
      },
      *layer.statistics, layer.pool);
}

LayerReport ReportLayer(const ConstMatrixView& weight, const QuantizedMatrix& quantized,
                        const LayerContext& layer) {
  DAQ_CHECK(weight.rows() == quantized.out_features && weight.cols() == quantized.in_features &&
                weight.size() > 0,
            "the quantised form of this weight");
  std::vector<RowSums> rows(static_cast<std::size_t>(weight.rows()));
  std::vector<Scratch> threads(static_cast<std::size_t>(layer.pool->threads()));
  layer.pool->ParallelFor(
      (weight.rows() + kRowsPerItem - 1) / kRowsPerItem, [&](Index item, int worker) {
        const Index end = std::min((item + 1) * kRowsPerItem, weight.rows());
        for (Index row = item * kRowsPerItem; row < end; ++row) {
          rows[static_cast<std::size_t>(row)] =
              SumRow(weight, quantized, row, &threads[static_cast<std::size_t>(worker)]);
        }
      });
  const auto weights = static_cast<double>(weight.size());
  const auto row_count = static_cast<double>(weight.rows());
  const auto groups = static_cast<double>(quantized.grid.scale.size());
  LayerReport report;
  report.layer = layer.name;
  const double squared_error = Total(rows, &RowSums::squared_error);
  report.weight_mse = squared_error / weights;
  report.weight_relative_error = Relative(squared_error, Total(rows, &RowSums::squared_weight));
  report.bits_per_weight = static_cast<double>(StoredBits(quantized)) / weights;
  Index clipped = 0;
  report.lowest_weight = rows.front().lowest;
  report.highest_weight = rows.front().highest;
  for (const RowSums& row : rows) {
    clipped += row.clipped;
    report.lowest_weight = std::min(report.lowest_weight, row.lowest);
    report.highest_weight = std::max(report.highest_weight, row.highest);
  }
  report.clipped_share = static_cast<double>(clipped) / weights;
  report.code_entropy_bits = Entropy(threads, weights);
  report.dense_center = Total(rows, &RowSums::dense_center) / row_count;
  report.dense_width = Total(rows, &RowSums::dense_width) / row_count;
  report.range_center = Total(rows, &RowSums::range_center) / groups;
  report.range_width = Total(rows, &RowSums::range_width) / groups;
  if (layer.statistics != nullptr) {
    const double error = SquaredOutputError(weight, quantized, layer);
    report.output_mse = error / (static_cast<double>(layer.statistics->tokens()) * row_count);
    report.output_relative_error = Relative(error, SquaredOutputsOfLayer(weight, layer));
  }
  return report;
}

}  // namespace daq
