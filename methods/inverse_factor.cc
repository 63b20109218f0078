#include "methods/inverse_factor.h"

#include <fmt/format.h>

#include <algorithm>
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

InverseFactor Make(const LayerContext& layer, double damp_percent, bool act_order) {
  const MatrixD& gram = layer.statistics->gram(layer.pool);
  const double factor = 2 / static_cast<double>(layer.statistics->tokens());
  VectorD diagonal = gram.diagonal() * factor;
  InverseFactor result;
  result.trace = Total(diagonal);
  for (Index c = 0; c < diagonal.size(); ++c) {
    if (diagonal[c] != 0) continue;
    result.dead.push_back(static_cast<std::int32_t>(c));
    diagonal[c] = 1;
  }
  result.order = Order(diagonal, act_order);
  const double mean = Total(diagonal) / static_cast<double>(diagonal.size());
  double damp = damp_percent;
  while (damp <= kMostDamping) {
    const VectorD damped = diagonal.array() + damp * mean;
    MatrixD h = Ordered(gram, factor, damped, result.order, layer.pool);
    if (!FactorUpper(h, layer.pool)) {
      damp = std::max(10 * damp, kLeastRetry);
      continue;
    }
    InvertUpper(h, layer.pool);
    result.damp_percent = damp;
    result.upper = h.cast<float>();
    return result;
  }
  throw InputError({layer.name}, "calibration inputs",
                   fmt::format("finite numbers, so that X^T X is positive definite with "
                               "damp_percent {}",
                               kMostDamping),
                   fmt::format("a trace of X^T X of {}", result.trace / factor));
}

}  // namespace

const InverseFactor& InverseFactorOf(const LayerContext& layer, double damp_percent,
                                     bool act_order) {
  DAQ_CHECK(layer.statistics != nullptr, "GPTQ is handed calibration data");
  return layer.statistics->Derived<InverseFactor>(
      fmt::format("gptq factor damp_percent={} act_order={}", damp_percent, act_order),
      [&] { return Make(layer, damp_percent, act_order); });
}

}  // namespace daq
