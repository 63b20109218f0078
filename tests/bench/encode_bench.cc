// Kernels of methods/: encoding, packing, dequantising, the mse search. Each checks its answer
// before it is timed. Run: build/release/encode_bench   (items are weights)
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>

#include "methods/encode.h"
#include "methods/quantize_layer.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

constexpr Index kRows = 256;
constexpr Index kColumns = 4096;  // rows of a 7B model's matrices
constexpr int kThreads = 2;

Format FormatOf(const benchmark::State& state) {
  const CodebookInfo& info = Codebooks()[static_cast<std::size_t>(state.range(0))];
  return {.codebook = BuiltIn(info.name, info.symmetric_by_default),
          .symmetric = info.symmetric_by_default,
          .group_size = state.range(1)};
}

// Nothing is nearer than the code chosen, up to one rounding of the result.
bool IsNearest(const MatrixF& weight, const QuantizedMatrix& matrix, const MatrixF& restored) {
  const Index length = GroupLength(matrix.format, kColumns);
  for (Index i = 0; i < weight.size(); i += 37) {
    const Index row = i / kColumns;
    const Index group = i % kColumns / length;
    const auto scale = static_cast<double>(matrix.grid.scale(row, group));
    const auto zero_point = static_cast<double>(matrix.grid.zero_point(row, group));
    const auto w = static_cast<double>(weight.data()[i]);
    double least = std::numeric_limits<double>::infinity();
    for (const float value : matrix.format.codebook.values) {
      least = std::min(least, std::abs((static_cast<double>(value) - zero_point) * scale - w));
    }
    const auto found = static_cast<double>(restored.data()[i]);
    if (std::abs(found - w) > least + 0x1p-24 * std::abs(found)) return false;
  }
  return true;
}

struct Prepared {
  Format format;
  MatrixF weight = NormalMatrix(kRows, kColumns, 0.02, 1);
  QuantizedMatrix matrix;
  bool right = false;
};

Prepared Prepare(benchmark::State* state) {
  Prepared prepared{.format = FormatOf(*state), .matrix = {}};
  ThreadPool pool(kThreads);
  prepared.matrix =
      QuantizeLayer(MakeParts(MakeRecipe(*FindPreset("rtn"), prepared.format)), prepared.format,
                    prepared.weight, {.name = "bench", .pool = &pool})
          .matrix;
  MatrixF restored(kRows, kColumns);
  Dequantize(prepared.matrix, restored, &pool);
  prepared.right = IsNearest(prepared.weight, prepared.matrix, restored);
  if (!prepared.right) state->SkipWithError("a nearer code exists");
  state->SetLabel(FormatName(prepared.format) + " " + GranularityName(prepared.format));
  return prepared;
}

void Finish(benchmark::State* state) {
  state->SetItemsProcessed(state->iterations() * kRows * kColumns);
}

void BM_QuantizeNearest(benchmark::State& state) {
  const Prepared prepared = Prepare(&state);
  const RecipeParts parts = MakeParts(MakeRecipe(*FindPreset("rtn"), prepared.format));
  ThreadPool pool(kThreads);
  for (auto _ : state) {
    benchmark::DoNotOptimize(parts.rounding->Quantize(
        prepared.weight, *parts.range, prepared.format, {.name = "bench", .pool = &pool}));
  }
  Finish(&state);
}

void BM_Dequantize(benchmark::State& state) {
  const Prepared prepared = Prepare(&state);
  MatrixF restored(kRows, kColumns);
  ThreadPool pool(kThreads);
  for (auto _ : state) {
    Dequantize(prepared.matrix, restored, &pool);
    benchmark::ClobberMemory();
  }
  Finish(&state);
}

void BM_Mse(benchmark::State& state) {
  const Prepared prepared = Prepare(&state);
  const RecipeParts parts = MakeParts(MakeRecipe(*FindPreset("mse"), prepared.format));
  ThreadPool pool(kThreads);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        parts.range->Find(prepared.weight, prepared.format, {.name = "bench", .pool = &pool}));
  }
  Finish(&state);
}

void BM_Report(benchmark::State& state) {
  const Prepared prepared = Prepare(&state);
  ThreadPool pool(kThreads);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        ReportLayer(prepared.weight, prepared.matrix, {.name = "bench", .pool = &pool}));
  }
  Finish(&state);
}

// Rows of Codebooks(): int3 1, int4 2, int8 5, nf4 8, fp8_e4m3 12.
void Shapes(benchmark::internal::Benchmark* benchmark) {
  for (const int book : {1, 2, 5, 8, 12}) {
    for (const int group : {0, 64}) benchmark->Args({book, group});
  }
  benchmark->UseRealTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK(BM_QuantizeNearest)->Apply(Shapes);
BENCHMARK(BM_Dequantize)->Apply(Shapes);
BENCHMARK(BM_Mse)->Args({1, 0})->Args({2, 64})->Args({8, 0})->UseRealTime()->Unit(
    benchmark::kMillisecond);
BENCHMARK(BM_Report)->Args({2, 0})->Args({8, 64})->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace daq
