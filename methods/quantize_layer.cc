#include "methods/quantize_layer.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "methods/registry.h"

namespace daq {
namespace {

template <typename Part>
std::unique_ptr<Part> Make(std::span<const PartEntry<Part>> entries, const PartChoice& choice) {
  const PartEntry<Part>* entry = FindPart(entries, std::string_view(choice.name));
  DAQ_CHECK(entry != nullptr, choice.name);
  return entry->make(choice.settings);
}

void CheckFinite(const ConstMatrixView& weight, const std::string& layer) {
  for (Index row = 0; row < weight.rows(); ++row) {
    for (Index column = 0; column < weight.cols(); ++column) {
      if (std::isfinite(weight(row, column))) continue;
      throw InputError({layer}, fmt::format("weight[{}, {}]", row, column), "a finite number",
                       std::isnan(weight(row, column)) ? "NaN" : "infinity");
    }
  }
}

}  // namespace

RecipeParts MakeParts(const Recipe& recipe) {
  DAQ_CHECK(!recipe.full_precision, "full precision has no parts");
  RecipeParts parts{.transform = Make(Transforms(), recipe.transform),
                    .range = Make(Ranges(), recipe.range),
                    .rounding = Make(Roundings(), recipe.rounding)};
  parts.transform->CheckFormat(recipe.format);
  parts.range->CheckFormat(recipe.format);
  return parts;
}

QuantizedLayer QuantizeLayer(const RecipeParts& parts, const Format& format,
                             const ConstMatrixView& weight, const LayerContext& layer) {
  if (weight.size() == 0) {
    throw InputError({layer.name}, "weight", "at least one row and column",
                     fmt::format("{} x {}", weight.rows(), weight.cols()));
  }
  CheckFinite(weight, layer.name);
  GroupsPerRow(format, weight.cols(), layer.name);  // refused here, before a range's work
  RoundingResult result = parts.rounding->Quantize(weight, *parts.range, format, layer);
  LayerReport report = ReportLayer(weight, result.matrix, layer);
  report.diagnostics = std::move(result.diagnostics);
  return {.matrix = std::move(result.matrix), .report = std::move(report)};
}

}  // namespace daq
