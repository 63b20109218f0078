#include "methods/inverse_factor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "base/reduce.h"
#include "base/triangular.h"

namespace daq {
namespace {

constexpr Index kRowsPerItem = 64;

// Damping where H is singular: 1e-4 of the mean diagonal first, then ten times more each time.
constexpr double kLeastRetry = 1e-4;
// H has no negative eigenvalue and none above n times its mean diagonal, so with this much damping
// it is well conditioned, whatever the inputs.
constexpr double kMostDamping = 10;

// With fewer tokens than features over this, working on the inputs takes fewer operations than on
// the Gram matrix.
constexpr Index kFeaturesPerToken = 4;

bool AreFew(Index tokens, Index in_features) { return tokens <= in_features / kFeaturesPerToken; }

std::vector<std::int32_t> Order(const VectorD& diagonal, bool act_order) {
  std::vector<std::int32_t> order(static_cast<std::size_t>(diagonal.size()));
  std::iota(order.begin(), order.end(), 0);
  if (act_order) {
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int32_t a, std::int32_t b) { return diagonal[a] > diagonal[b]; });
  }
  return order;
}

double Total(const VectorD& values) {
  return Sum(std::span(values.data(), static_cast<std::size_t>(values.size())));
}

// The upper triangle of H with `diagonal` in place of its own, in `order`; 0 below.
MatrixD Ordered(const MatrixD& gram, double factor, const VectorD& diagonal,
                const std::vector<std::int32_t>& order, ThreadPool* pool) {
  const Index size = gram.rows();
  MatrixD ordered(size, size);
  pool->ParallelFor((size + kRowsPerItem - 1) / kRowsPerItem, [&](Index item, int) {
    const Index end = std::min((item + 1) * kRowsPerItem, size);
    for (Index p = item * kRowsPerItem; p < end; ++p) {
      const double* from = gram.row(order[static_cast<std::size_t>(p)]).data();
      double* to = ordered.row(p).data();
      std::fill_n(to, p, 0.0);
      to[p] = diagonal[order[static_cast<std::size_t>(p)]];
      for (Index q = p + 1; q < size; ++q)
        to[q] = from[order[static_cast<std::size_t>(q)]] * factor;
    }
  });
  return ordered;
}

// The kept inputs' features in `order`, times `factor`, in double: [tokens, in_features].
MatrixD OrderedInputs(const LayerStatistics& statistics, double factor,
                      const std::vector<std::int32_t>& order) {
  const ConstMatrixView inputs = statistics.inputs();
  MatrixD ordered(inputs.rows(), inputs.cols());
  for (Index row = 0; row < inputs.rows(); ++row) {
    for (Index p = 0; p < inputs.cols(); ++p) {
      ordered(row, p) =
          factor * static_cast<double>(inputs(row, order[static_cast<std::size_t>(p)]));
    }
  }
  return ordered;
}

// U of H + diag(added): from the inputs where there are few and something is added everywhere, else
// from the Gram matrix. False where the matrix is not positive definite.
bool FactorInverse(const LayerStatistics& statistics, const VectorD& added,
                   const std::vector<std::int32_t>& order, ThreadPool* pool, MatrixF* upper) {
  const double factor = 2 / static_cast<double>(statistics.tokens());
  if (AreFew(statistics.tokens(), statistics.in_features()) && added.minCoeff() > 0) {
    const VectorD ordered = VectorD::NullaryExpr(
        added.size(), [&](Index p) { return added[order[static_cast<std::size_t>(p)]]; });
    return InverseFactorOfLowRank(ordered, OrderedInputs(statistics, std::sqrt(factor), order),
                                  pool, upper);
  }
  const MatrixD& gram = statistics.gram(pool);
  MatrixD h = Ordered(gram, factor, gram.diagonal() * factor + added, order, pool);
  if (!FactorUpper(h, pool)) return false;
  InvertUpper(h, pool);
  *upper = h.cast<float>();
  return true;
}

InverseFactor Make(const LayerContext& layer, double damp_percent, bool act_order) {
  const LayerStatistics& statistics = *layer.statistics;
  VectorD diagonal = 2 * statistics.mean_square();
  InverseFactor result;
  result.trace = Total(diagonal);
  VectorD added = VectorD::Zero(diagonal.size());
  for (Index c = 0; c < diagonal.size(); ++c) {
    if (diagonal[c] != 0) continue;
    result.dead.push_back(static_cast<std::int32_t>(c));
    diagonal[c] = added[c] = 1;
  }
  result.order = Order(diagonal, act_order);
  const double mean = Total(diagonal) / static_cast<double>(diagonal.size());
  double damp = damp_percent;
  while (damp <= kMostDamping) {
    const VectorD damped = added.array() + damp * mean;
    if (FactorInverse(statistics, damped, result.order, layer.pool, &result.upper)) {
      result.damp_percent = damp;
      return result;
    }
    damp = std::max(10 * damp, kLeastRetry);
  }
  throw InputError({layer.name}, "calibration inputs",
                   fmt::format("finite numbers, so that X^T X is positive definite with "
                               "damp_percent {}",
                               kMostDamping),
                   fmt::format("a trace of X^T X of {}",
                               result.trace * static_cast<double>(statistics.tokens()) / 2));
}

}  // namespace

const InverseFactor& InverseFactorOf(const LayerContext& layer, double damp_percent,
                                     bool act_order) {
  DAQ_CHECK(layer.statistics != nullptr, "GPTQ is handed calibration data");
  return layer.statistics->Derived<InverseFactor>(
      fmt::format("gptq factor damp_percent={} act_order={}", damp_percent, act_order),
      [&] { return Make(layer, damp_percent, act_order); });
}

Footprint InverseFactorMemory(Index in_features, Index tokens) {
  const auto n = static_cast<double>(in_features);
  const double upper = 4 * n * n;
  if (AreFew(tokens, in_features)) return {upper, 16 * static_cast<double>(tokens) * n};
  return {upper + (tokens <= in_features ? 8 * n * n : 0), 8 * n * n};
}

Work InverseFactorWork(Index in_features, Index tokens) {
  const auto n = static_cast<double>(in_features);
  const auto t = static_cast<double>(tokens);
  // Double precision and small tiles: a quarter of the rate of products in float32.
  if (AreFew(tokens, in_features)) return Products(4 * (2 * t * n * n + 8 * t * t * n));
  return Products(4 * n * n * (2 * n / 3 + (tokens <= in_features ? t : 0)));
}

}  // namespace daq
