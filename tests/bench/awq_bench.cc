// AWQ's two searches on one layer, int4 in groups of 128, 512 calibration tokens. Each checks its
// answer before it is timed. Run: build/release/awq_bench   (items are weights)
#include <benchmark/benchmark.h>

#include "base/blas.h"
#include "methods/quantize_layer.h"
#include "methods/registry.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

constexpr Index kTokens = 512;
constexpr int kThreads = 2;

// A square layer, its inputs with some channels larger than the others.
struct Layer {
  explicit Layer(Index features)
      : weight(NormalMatrix(features, features, 0.02, 1)),
        statistics(StatisticsOf(Inputs(features))) {}

  static MatrixF Inputs(Index features) {
    MatrixF inputs = NormalMatrix(kTokens, features, 1.0, 2);
    for (Index channel = 5; channel < features; channel += 61) inputs.col(channel) *= 10.0F;
    return inputs;
  }

  Format format(Index group_size) const {
    return {.codebook = BuiltIn("int4", false), .group_size = group_size};
  }

  MatrixF weight;
  LayerStatistics statistics;
};

void Finish(const Layer& layer, benchmark::State* state) {
  state->SetItemsProcessed(state->iterations() * layer.weight.size());
}

void BM_Clip(benchmark::State& state) {
  const Layer layer(state.range(0));
  const Format format = layer.format(state.range(1));
  ThreadPool pool(kThreads);
  const PartEntry<Range>& entry = *FindPart(Ranges(), "clip");
  const std::unique_ptr<Range> clip = entry.make(ChoosePart(entry, {}).settings);
  const LayerContext context{.name = "bench", .statistics = &layer.statistics, .pool = &pool};
  const RangeResult result = clip->Find(layer.weight, format, context);
  if (!(result.diagnostics.at("clip.loss_end") < result.diagnostics.at("clip.loss_start")))
    state.SkipWithError("clipping gained nothing");
  for (auto _ : state) benchmark::DoNotOptimize(clip->Find(layer.weight, format, context));
  Finish(layer, &state);
}

// One group of a layer behind a norm, whose own output is compared.
void BM_AwqScale(benchmark::State& state) {
  const Layer layer(state.range(0));
  ThreadPool pool(kThreads);
  const PartEntry<Transform>& entry = *FindPart(Transforms(), "awq_scale");
  const std::unique_ptr<Transform> transform = entry.make(ChoosePart(entry, {}).settings);
  const TransformBlock block{
      .name = "bench",
      .layers = {{.name = "layer", .weight = layer.weight}},
      .norms = {VectorF::Ones(layer.weight.cols())},
      .groups = {{.consumers = {0}, .producer_norm = 0, .statistics = &layer.statistics}}};
  const TransformContext context{
      .format = layer.format(state.range(1)), .pool = &pool, .module_error = {}};
  for (auto _ : state) {
    TransformBlock rewritten = block;
    const Diagnostics found = transform->Apply(&rewritten, context).at("layer");
    if (!(found.at("awq_scale.loss") < found.at("awq_scale.loss_unscaled")))
      state.SkipWithError("scaling gained nothing");
  }
  Finish(layer, &state);
}

void Shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->Args({256, 128})->Args({1024, 128})->Args({4096, 128})->Args({4096, 0});
  // CPU time is that of all threads: unlike real time it says the same on a busy machine.
  benchmark->UseRealTime()->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);
}

BENCHMARK(BM_Clip)->Apply(Shapes);
BENCHMARK(BM_AwqScale)->Apply(Shapes);

}  // namespace
}  // namespace daq
