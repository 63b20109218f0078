#include "harness/cell_record.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/error.h"
#include "base/statistics.h"
#include "harness/recipe_json.h"
#include "harness/report_json.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no NaN: a standard error of a single window is null.
Json NumberOrNull(std::optional<double> value) {
  return value && std::isfinite(*value) ? Json(*value) : Json();
}

Json MetricJson(const EvaluationResult& result) {
  return {{"perplexity", Perplexity(result.window_losses)},
          {"stderr", NumberOrNull(PerplexityStandardError(result.window_losses))},
          {"loss_vs_fp", NumberOrNull(result.loss_vs_fp)},
          {"loss_vs_fp_stderr", NumberOrNull(result.loss_vs_fp_stderr)},
          {"tokens", result.tokens},
          {"protocol", result.protocol},
          {"dataset", result.dataset},
          {"windows", result.window_losses.size()},
          {"window_tokens", result.window_tokens},
          {"text_sha256", result.text_sha256},
          {"ids_sha256", result.ids_sha256},
          {"window_losses", result.window_losses}};
}

template <typename Number>
Json ValueOrNull(const std::optional<Number>& value) {
  return value ? Json(*value) : Json();
}

Json CalibrationJson(const std::optional<CalibrationRecord>& calibration) {
  if (!calibration) return {};
  return {{"protocol", calibration->protocol},
          {"dataset", calibration->dataset},
          {"windows", calibration->windows},
          {"window_tokens", calibration->window_tokens},
          {"documents", ValueOrNull(calibration->documents)},
          {"seed", ValueOrNull(calibration->seed)},
          {"text_sha256", calibration->text_sha256},
          {"ids_sha256", calibration->ids_sha256}};
}

}  // namespace

std::string FullPrecisionFormat(const std::string& dtype) {
  std::string text = dtype;
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  return text;
}

void CompareWithFullPrecision(const std::vector<double>& full_precision_losses,
                              EvaluationResult* result) {
  DAQ_CHECK(full_precision_losses.size() == result->window_losses.size(), "the same windows");
  const PairedDifference difference =
      PerplexityDifference(result->window_losses, full_precision_losses);
  result->loss_vs_fp = difference.value;
  result->loss_vs_fp_stderr = difference.standard_error;
}

Json ToJson(const CellRecord& cell) {
  const bool fp = cell.recipe.full_precision;
  Json json = {
      {"schema", 1},
      {"id", cell.id},
      {"status", cell.error.empty() ? "done" : "failed"},
      {"model", cell.model},
      {"model_sha256", cell.model_sha256},
      {"method", cell.recipe.method},
      {"transform", fp ? "none" : cell.recipe.transform.name},
      {"range", fp ? "none" : cell.recipe.range.name},
      {"rounding", fp ? "none" : cell.recipe.rounding.name},
      {"format", fp ? FullPrecisionFormat(cell.model_dtype) : FormatName(cell.recipe.format)},
      {"granularity", fp ? "none" : GranularityName(cell.recipe.format)},
      {"bits_per_weight", NumberOrNull(cell.bits_per_weight)},
      {"calibration", CalibrationJson(cell.calibration)},
      {"held_out", CalibrationJson(cell.held_out)}};
  if (cell.error.empty()) {
    json["metrics"] = {{cell.evaluation.name, MetricJson(cell.evaluation)}};
  } else {
    json["metrics"] = Json::object();
    json["error"] = cell.error;
  }
  json["seconds"] = {{"quantize", cell.quantize_seconds}, {"evaluate", cell.evaluate_seconds}};
  json["peak_rss_bytes"] = cell.peak_rss_bytes;
  json["host"] = cell.host;
  json["version"] = cell.version;
  json["numerics"] = kNumericsVersion;
  json["recipe"] = ToJson(cell.recipe);
  json["layers"] = Json::array();
  for (const LayerReport& layer : cell.layers) json["layers"].push_back(ToJson(layer));
  return json;
}

}  // namespace daq
