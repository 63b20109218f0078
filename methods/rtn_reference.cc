#include "methods/rtn_reference.h"

#include <fmt/format.h>

#include "base/error.h"
#include "methods/quantize_layer.h"

namespace daq {
namespace {

double Compute(const ConstMatrixView& weight, const Format& format,
               const LayerCoordinates& coordinates, const LayerContext& layer) {
  const RecipeParts parts = MakeParts(MakeRecipe(*FindPreset("rtn"), format));
  const QuantizedMatrix rtn =
      parts.rounding
          ->Quantize(weight, *parts.range, format, {.name = layer.name, .pool = layer.pool})
          .matrix;
  const auto fill = [&](Index first, MatrixView rows) {
    DequantizeRows(rtn, first, rows);
    rows -= weight.middleRows(first, rows.rows());
    if (coordinates.column_factor.size() > 0)
      rows.array().rowwise() *= coordinates.column_factor.transpose().array();
    if (coordinates.row_divisor.size() > 0)
      rows.array().colwise() /= coordinates.row_divisor.segment(first, rows.rows()).array();
  };
  return SquaredOutputs(weight.rows(), fill, *layer.statistics, layer.pool);
}

}  // namespace

double RtnSquaredOutputError(const ConstMatrixView& weight, const Format& format,
                             const LayerCoordinates& coordinates, const LayerContext& layer) {
  DAQ_CHECK(layer.statistics != nullptr, "an output error needs inputs");
  const bool moved = coordinates.column_factor.size() > 0 || coordinates.row_divisor.size() > 0;
  // A config's own book may share its name with another config's, but not within one run.
  const std::string key =
      fmt::format("rtn error of {} {} {}", layer.name, FormatName(format), GranularityName(format));
  const std::function<double()> compute = [&] {
    return Compute(weight, format, coordinates, layer);
  };
  return moved ? compute() : layer.statistics->Derived<double>(key, compute);
}

}  // namespace daq
