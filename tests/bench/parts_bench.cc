// Every registered range and rounding on one layer, int4 in groups of 64, 512 calibration tokens.
// Each result is held to what the part promises before it is timed. Run: build/release/parts_bench
// (items are weights). Argument: out_features = in_features.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "methods/quantize_layer.h"
#include "methods/registry.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

constexpr Index kTokens = 512;

struct Layer {
  MatrixF weight;
  LayerStatistics statistics;
  Format format{.codebook = BuiltIn("int4", false), .group_size = 64};

  explicit Layer(Index size)
      : weight(NormalMatrix(size, size, 0.02, 1)),
        statistics(StatisticsOf(CorrelatedInputs(kTokens, size, 2))) {}
};

// Quantises a layer by the recipe `rtn` with another range or rounding.
void BM_Part(benchmark::State& state, std::string_view range, std::string_view rounding) {
  const Layer layer(state.range(0));
  ThreadPool pool(1);
  const LayerContext context{.name = "bench", .statistics = &layer.statistics, .pool = &pool};
  Recipe recipe = MakeRecipe(*FindPreset("rtn"), layer.format);
  const auto quantize = [&](const Recipe& by) {
    return QuantizeLayer(MakeParts(by), layer.format, layer.weight, context).report;
  };
  const LayerReport nearest = quantize(recipe);
  recipe.range = ChoosePart(*FindPart(Ranges(), range), {});
  recipe.rounding = ChoosePart(*FindPart(Roundings(), rounding), {});
  const LayerReport report = quantize(recipe);
  // What looks at inputs lowers the output's error, what does not the weights'.
  const RecipeParts parts = MakeParts(recipe);
  const bool improves = parts.needs_statistics()
                            ? report.output_mse.value() <= nearest.output_mse.value()
                            : report.weight_mse <= nearest.weight_mse;
  if (!improves) state.SkipWithError("worse than round to nearest");
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        parts.rounding->Quantize(layer.weight, *parts.range, layer.format, context));
  }
  state.SetItemsProcessed(state.iterations() * layer.weight.size());
}

void Register(const std::string& name, std::string_view range, std::string_view rounding) {
  benchmark::RegisterBenchmark(("BM_" + name).c_str(), BM_Part, range, rounding)
      ->Arg(128)
      ->Arg(1024)
      ->Unit(benchmark::kMillisecond);
}

const bool registered = [] {
  for (const PartEntry<Range>& entry : Ranges())
    Register("Range_" + std::string(entry.name), entry.name, "nearest");
  for (const PartEntry<Rounding>& entry : Roundings())
    Register("Rounding_" + std::string(entry.name), "minmax", entry.name);
  return true;
}();

}  // namespace
}  // namespace daq
