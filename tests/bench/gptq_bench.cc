// GPTQ and code descent on whole layers, int4 in groups of 128. Run: build/release/gptq_bench
// (items are weights). Arguments: in_features = out_features, threads. Factor is what layers of one
// input share; Gptq is without it; Products are the matrix products of Gptq alone, for their share.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <map>

#include "base/float_product.h"
#include "methods/inverse_factor.h"
#include "methods/quantize_layer.h"
#include "methods/registry.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

constexpr Index kTokens = 1024;
constexpr Index kBlock = 128;

// Neighbouring features are alike.
MatrixF Inputs(Index features) {
  MatrixF inputs = NormalMatrix(kTokens, features, 1.0, 2);
  for (Index column = 1; column < features; ++column)
    inputs.col(column) = 0.8F * inputs.col(column - 1) + 0.6F * inputs.col(column);
  return inputs;
}

struct Layer {
  MatrixF weight;
  LayerStatistics statistics;

  explicit Layer(Index size)
      : weight(NormalMatrix(size, size, 0.02, 1)), statistics(StatisticsOf(Inputs(size))) {
    ThreadPool pool(2);
    statistics.gram(&pool);
  }
};

const Layer& LayerOf(Index size) {
  static std::map<Index, Layer> layers;
  return layers.try_emplace(size, size).first->second;
}

const Format& Int4() {
  static const Format format{.codebook = BuiltIn("int4", false), .group_size = 128};
  return format;
}

RecipeParts Parts(std::string_view rounding) {
  Recipe recipe = MakeRecipe(*FindPreset("rtn-gptq"), Int4());
  recipe.rounding = ChoosePart(*FindPart(Roundings(), rounding), {});
  return MakeParts(recipe);
}

void BM_Factor(benchmark::State& state) {
  const Layer& layer = LayerOf(state.range(0));
  ThreadPool pool(static_cast<int>(state.range(1)));
  double damping = 0.01;
  for (auto _ : state) {
    state.PauseTiming();
    const LayerStatistics fresh = layer.statistics;  // nothing derived from it but what follows
    damping *= 1 + 1e-9;                             // a factor that is not kept yet
    state.ResumeTiming();
    const InverseFactor& factor =
        InverseFactorOf({.name = "bench", .statistics = &fresh, .pool = &pool}, damping, false);
    if (factor.damp_percent != damping) state.SkipWithError("not positive definite");
  }
}

void BM_Rounding(benchmark::State& state, std::string_view rounding) {
  const Layer& layer = LayerOf(state.range(0));
  const RecipeParts parts = Parts(rounding);
  ThreadPool pool(static_cast<int>(state.range(1)));
  const LayerContext context{.name = "bench", .statistics = &layer.statistics, .pool = &pool};
  const auto error = [&](const RecipeParts& by) {
    return QuantizeLayer(by, Int4(), layer.weight, context).report.output_mse.value();
  };
  if (error(parts) > 0.7 * error(Parts("nearest"))) state.SkipWithError("outputs are not nearer");
  for (auto _ : state)
    benchmark::DoNotOptimize(parts.rounding->Quantize(layer.weight, *parts.range, Int4(), context));
  state.SetItemsProcessed(state.iterations() * layer.weight.size());
}

void BM_Gptq(benchmark::State& state) { BM_Rounding(state, "gptq"); }
void BM_CodeDescent(benchmark::State& state) { BM_Rounding(state, "code_descent"); }

// What quantising LLaMA-7B's down_proj, 4096 x 11008, takes with 512 tokens of calibration: the
// factor of its inputs and the rounding, without the report. Arguments: threads.
void BM_DownProj(benchmark::State& state) {
  constexpr Index kRows = 4096;
  constexpr Index kColumns = 11008;
  ThreadPool pool(static_cast<int>(state.range(0)));
  const MatrixF weight = NormalMatrix(kRows, kColumns, 0.02, 5);
  const LayerStatistics statistics(NormalMatrix(512, kColumns, 1.0, 6), &pool);
  const RecipeParts parts = Parts("gptq");
  QuantizedMatrix matrix;
  for (auto _ : state) {
    const LayerStatistics fresh = statistics;  // whose factor is not there yet
    const LayerContext context{.name = "bench", .statistics = &fresh, .pool = &pool};
    matrix = parts.rounding->Quantize(weight, *parts.range, Int4(), context).matrix;
  }
  const LayerContext context{.name = "bench", .statistics = &statistics, .pool = &pool};
  const QuantizedMatrix nearest =
      Parts("nearest").rounding->Quantize(weight, *parts.range, Int4(), context).matrix;
  if (SquaredOutputError(weight, matrix, context) >
      0.7 * SquaredOutputError(weight, nearest, context))
    state.SkipWithError("outputs are not nearer");
}

void BM_Products(benchmark::State& state) {
  const Index size = state.range(0);
  MatrixF work = LayerOf(size).weight;
  const MatrixF errors = NormalMatrix(size, kBlock, 0.02, 3);
  const MatrixF upper = NormalMatrix(size, size, 1e-3, 4);
  ThreadPool pool(static_cast<int>(state.range(1)));
  const Index rows = std::min<Index>(1024, size);
  for (auto _ : state) {
    for (Index begin = 0; begin < size; begin += kBlock) {
      const Index end = begin + kBlock;
      const Index pieces = (size - end + 1023) / 1024;
      pool.ParallelFor(size / rows * pieces, [&](Index item, int) {
        const Index row = item % (size / rows) * rows;
        const Index column = end + item / (size / rows) * 1024;
        const Index width = std::min<Index>(1024, size - column);
        SubtractProduct(errors.middleRows(row, rows), upper.block(begin, column, kBlock, width),
                        work.block(row, column, rows, width));
      });
    }
  }
  state.SetItemsProcessed(state.iterations() * size * size);
}

void Sizes(benchmark::internal::Benchmark* benchmark) {
  for (const Index size : {256, 1024, 4096}) {
    for (const int threads : {1, 2}) benchmark->Args({size, threads});
  }
  benchmark->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK(BM_Factor)->Apply(Sizes);
BENCHMARK(BM_Gptq)->Apply(Sizes);
BENCHMARK(BM_Products)->Apply(Sizes);
BENCHMARK(BM_DownProj)->Arg(1)->Arg(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(BM_CodeDescent)->Apply(Sizes);

}  // namespace
}  // namespace daq
