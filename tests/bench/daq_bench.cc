// DAQ's search per channel, one thread, NF4, 512 tokens, against what the dense search costs: six
// products X Q(w)^T in each of 1000 iterations, batched over channels as the authors' code does, so
// at sgemm's speed. The search's answer is checked against a dense loss first.
// Run: build/release/daq_bench
#include <benchmark/benchmark.h>

#include <cmath>

#include "base/float_product.h"
#include "methods/daq.h"
#include "methods/registry.h"
#include "tests/methods/dense_sign_search.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

constexpr Index kTokens = 512;
constexpr Index kChannels = 16;
constexpr double kDenseEvaluations = 6 * 1000;

// Inputs as layers have them: energy falls off over directions, so rows are correlated.
MatrixF CorrelatedInputs(Index tokens, Index columns) {
  const Index directions = columns / 2;
  MatrixF strength = NormalMatrix(tokens, directions, 1.0, 81);
  for (Index k = 0; k < directions; ++k)
    strength.col(k) *= 4.0F / std::sqrt(1.0F + static_cast<float>(k));
  MatrixF inputs(tokens, columns);
  Multiply(strength, NormalMatrix(directions, columns, 1.0, 82), inputs);
  return inputs + NormalMatrix(tokens, columns, 1.0, 83);
}

struct Problem {
  MatrixF inputs;
  MatrixF weight;
  Format format;
};

Problem MakeProblem(const benchmark::State& state) {
  const Index columns = state.range(0);
  return {.inputs = CorrelatedInputs(kTokens, columns),
          .weight = NormalMatrix(kChannels, columns, 0.02, 84),
          .format = {.codebook = BuiltIn("nf4", false), .group_size = state.range(1)}};
}

// A layer with everything that its search reads.
struct SearchBench {
  explicit SearchBench(const benchmark::State& state) : problem(MakeProblem(state)) {}

  // `search_rows`: 0 is the exact search.
  std::vector<DaqGroup> Solve(Index search_rows) const {
    DaqOptions options = ReadDaqOptions(DefaultSettings(DaqSettings()));
    options.search_rows = search_rows;
    return SolveDaq(pieces, problem.format, layer, options, &factors);
  }

  // What a point of a row's first group really loses.
  double Loss(Index row, const GridPoint& point) const {
    const MatrixF inputs = problem.inputs.leftCols(pieces.length());
    return DenseSignSearch(inputs, pieces.Weights(row, 0), problem.format).Loss(point);
  }

  Problem problem;
  ThreadPool pool{1};
  LayerStatistics statistics{problem.inputs, &pool};
  LayerContext layer{.name = "bench", .statistics = &statistics, .pool = &pool};
  GroupPieces pieces{problem.weight, problem.format, layer};
  GroupFactors factors{statistics, problem.weight.cols(), {}, pieces.length(), &pool};
};

benchmark::Counter SecondsPerGroup(const GroupPieces& pieces) {
  return {static_cast<double>(pieces.count()),
          benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert};
}

// state.range: in_features, group size (0: by channel).
void BM_Search(benchmark::State& state) {
  const SearchBench bench(state);
  const std::vector<DaqGroup> groups = bench.Solve(0);
  const double loss = bench.Loss(0, groups[0].point);
  if (std::abs(loss - groups[0].loss_end) > 1e-9 * loss) state.SkipWithError("another loss");
  for (auto _ : state) {
    benchmark::DoNotOptimize(bench.Solve(0));
  }
  state.counters["seconds_per_group"] = SecondsPerGroup(bench.pieces);
  double half_steps = 0;
  for (const DaqGroup& group : groups) half_steps += static_cast<double>(group.search.half_steps);
  state.counters["half_steps"] = half_steps / static_cast<double>(bench.pieces.count());
}

// The same by search_rows 64: `loss_ratio` is what its points really lose, in parts of what the
// exact search's do.
void BM_QuickSearch(benchmark::State& state) {
  const SearchBench bench(state);
  const std::vector<DaqGroup> exact = bench.Solve(0);
  std::vector<DaqGroup> quick;
  for (auto _ : state) quick = bench.Solve(64);
  double exact_loss = 0;
  double quick_loss = 0;
  for (Index row = 0; row < bench.pieces.rows(); ++row) {
    exact_loss += bench.Loss(row, exact[bench.pieces.At(row, 0)].point);
    quick_loss += bench.Loss(row, quick[bench.pieces.At(row, 0)].point);
  }
  state.counters["loss_ratio"] = quick_loss / exact_loss;
  state.counters["seconds_per_group"] = SecondsPerGroup(bench.pieces);
}

// daq_plus with its default settings, DAQ's own search included.
void BM_Plus(benchmark::State& state) {
  const Problem problem = MakeProblem(state);
  ThreadPool pool(1);
  const LayerStatistics statistics(problem.inputs, &pool);
  const LayerContext layer{.name = "bench", .statistics = &statistics, .pool = &pool};
  const PartEntry<Range>& entry = *FindPart(Ranges(), "daq_plus");
  const std::unique_ptr<Range> range = entry.make(DefaultSettings(entry.settings()));
  RangeResult result = range->Find(problem.weight, problem.format, layer);  // makes the factors
  for (auto _ : state) result = range->Find(problem.weight, problem.format, layer);
  const double groups = static_cast<double>(result.grid.scale.size());
  state.counters["seconds_per_group"] = benchmark::Counter(
      groups, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
  // Of the loss that it minimises, in parts of DAQ's.
  state.counters["loss_ratio"] =
      result.diagnostics.at("daq_plus.loss_end") / result.diagnostics.at("daq_plus.loss_daq");
}

// The factor, once for each input of a block.
void BM_Factor(benchmark::State& state) {
  const Problem problem = MakeProblem(state);
  ThreadPool pool(1);
  const LayerStatistics statistics(problem.inputs, &pool);
  std::vector<Index> columns(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < columns.size(); ++i) columns[i] = static_cast<Index>(i);
  const Index length = state.range(1) == 0 ? state.range(0) : state.range(1);
  for (auto _ : state) {
    benchmark::DoNotOptimize(GroupFactors(statistics, state.range(0), columns, length, &pool));
  }
}

// One evaluation of all channels' outputs, as the dense search does 6000 of. 256 channels make a
// product as fast as it gets.
void BM_DenseEvaluation(benchmark::State& state) {
  const Problem problem = MakeProblem(state);
  const Index columns = state.range(1) == 0 ? state.range(0) : state.range(1);
  const MatrixF inputs = problem.inputs.leftCols(columns);
  const MatrixF weight = NormalMatrix(256, columns, 0.02, 85);
  MatrixF outputs(kTokens, weight.rows());
  for (auto _ : state) {
    MultiplyTransposed(inputs, weight, outputs);
    benchmark::ClobberMemory();
  }
  state.counters["dense_seconds_per_group"] =
      benchmark::Counter(256.0 / kDenseEvaluations, benchmark::Counter::kIsIterationInvariantRate |
                                                        benchmark::Counter::kInvert);
}

void Shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({128, 0})
      ->Args({576, 0})
      ->Args({1536, 0})
      ->Args({4096, 0})
      ->Args({4096, 128})
      ->Unit(benchmark::kMillisecond);
}

// The same with twice as many tokens as inputs.
void BM_FactorOfManyTokens(benchmark::State& state) {
  ThreadPool pool(1);
  const Index columns = state.range(0);
  const LayerStatistics statistics(CorrelatedInputs(2 * columns, columns), &pool);
  statistics.gram(&pool);
  std::vector<Index> features(static_cast<std::size_t>(columns));
  for (std::size_t i = 0; i < features.size(); ++i) features[i] = static_cast<Index>(i);
  for (auto _ : state) benchmark::DoNotOptimize(FactorInputs(statistics, features, &pool));
}

BENCHMARK(BM_DenseEvaluation)->Apply(Shapes);
BENCHMARK(BM_Search)->Apply(Shapes);
BENCHMARK(BM_QuickSearch)->Apply(Shapes);
BENCHMARK(BM_Plus)->Apply(Shapes);
BENCHMARK(BM_Factor)->Apply(Shapes);
BENCHMARK(BM_FactorOfManyTokens)
    ->Arg(128)
    ->Arg(576)
    ->Arg(1536)
    ->Arg(4096)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace daq
