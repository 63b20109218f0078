// The forward pass's kernels that are not products of linear layers: attention, norm and rotary
// embedding, one thread. Each is compared with its definition in double before it is timed.
// Run: build/release/kernels_bench. Argument: window_tokens.
#include <benchmark/benchmark.h>

#include <cmath>

#include "eval/attention.h"
#include "eval/rms_norm.h"
#include "eval/rope.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

// One head's worth of SmolLM2's shape.
ModelConfig Config() {
  ModelConfig config;
  config.num_heads = 1;
  config.num_kv_heads = 1;
  config.head_dim = 64;
  return config;
}

// Attention of query `row` by its definition.
VectorD Attended(const MatrixF& query_key_value, Index row, Index d) {
  const MatrixD values = query_key_value.topRows(row + 1).cast<double>();
  VectorD scores =
      values.middleCols(d, d) * values.row(row).head(d).transpose() / std::sqrt(double(d));
  scores = (scores.array() - scores.maxCoeff()).exp();
  return values.rightCols(d).transpose() * scores / scores.sum();
}

// All queries of one head.
void BM_Attention(benchmark::State& state) {
  const ModelConfig config = Config();
  const Index tokens = state.range(0);
  const Index d = config.head_dim;
  const MatrixF query_key_value = NormalMatrix(tokens, 3 * d, 1.0, 1);
  MatrixF attended(tokens, d);
  AttentionScratch scratch(tokens);
  const auto run = [&] {
    for (Index first = 0; first < tokens; first += kQueryTile)
      AttendTile(config, query_key_value, 0, first, &scratch, attended);
  };
  run();
  for (Index row = 0; row < tokens; row += 61) {
    const VectorD expected = Attended(query_key_value, row, d);
    if ((attended.row(row).transpose().cast<double>() - expected).cwiseAbs().maxCoeff() > 1e-5)
      state.SkipWithError("not the softmax of the scores");
  }
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  // Scores and their product with the values, each causal.
  const auto pairs = static_cast<double>(tokens * (tokens + 1) / 2);
  state.counters["rate"] = benchmark::Counter(4 * pairs * static_cast<double>(d),
                                              benchmark::Counter::kIsIterationInvariantRate);
}

void BM_RmsNorm(benchmark::State& state) {
  const MatrixF x = NormalMatrix(state.range(0), 576, 1.0, 2);
  const VectorF weight = VectorF::LinSpaced(576, 0.5F, 1.5F);
  MatrixF normed(x.rows(), x.cols());
  RmsNorm(x, weight, 1e-5, normed);
  const VectorD row = x.row(0).transpose().cast<double>();
  const VectorD expected =
      row.cwiseProduct(weight.cast<double>()) / std::sqrt(row.squaredNorm() / 576 + 1e-5);
  if ((normed.row(0).transpose().cast<double>() - expected).cwiseAbs().maxCoeff() > 1e-6)
    state.SkipWithError("not the norm");
  for (auto _ : state) {
    RmsNorm(x, weight, 1e-5, normed);
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * x.size());
}

void BM_Rope(benchmark::State& state) {
  const Index tokens = state.range(0);
  const Index d = 64;
  const RopeTable rope(RopeConfig{}, d, tokens);
  MatrixF heads = NormalMatrix(tokens, d, 1.0, 3);
  const VectorD before = heads.row(tokens - 1).transpose().cast<double>();
  rope.Rotate(tokens - 1, heads.row(tokens - 1).data());
  for (Index i = 0; i < d / 2; ++i) {
    const double angle = double(tokens - 1) * std::pow(10000.0, -2.0 * double(i) / double(d));
    const double expected = before[i] * std::cos(angle) - before[i + d / 2] * std::sin(angle);
    // Angles are rounded to float as in transformers.
    if (std::abs(static_cast<double>(heads(tokens - 1, i)) - expected) > 1e-3)
      state.SkipWithError("not the rotation");
  }
  for (auto _ : state) {
    for (Index token = 0; token < tokens; ++token) rope.Rotate(token, heads.row(token).data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * heads.size());
}

BENCHMARK(BM_Attention)->Arg(128)->Arg(2048)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_RmsNorm)->Arg(128)->Arg(2048)->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Rope)->Arg(128)->Arg(2048)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace daq
