#include "harness/cell_record.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/reduce.h"
#include "base/statistics.h"
#include "harness/number_or_null.h"
#include "harness/recipe_json.h"
#include "harness/report_json.h"
#include "methods/quantile.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::pair<const char*, double TokenComparison::*>, 5> kComparisonFields = {{
    {"kl_mean", &TokenComparison::kl_mean},
    {"kl_p50", &TokenComparison::kl_p50},
    {"kl_p90", &TokenComparison::kl_p90},
    {"kl_p99", &TokenComparison::kl_p99},
    {"top1_agreement", &TokenComparison::top1_agreement},
}};

// What lm-evaluation-harness prints (docs/metrics.md), from the loss of all tokens together.
void AddTextMetrics(const TextSize& size, double loss, Json* json) {
  const double a_byte = loss / static_cast<double>(size.bytes);
  json->update({{"word_perplexity", std::exp(loss / static_cast<double>(size.words))},
                {"byte_perplexity", std::exp(a_byte)},
                {"bits_per_byte", a_byte / std::numbers::ln2},
                {"words", size.words},
                {"bytes", size.bytes}});
}

Json MetricJson(const EvaluationResult& result, const std::string& cell_id) {
  const std::vector<double> weights = WindowWeights(result.window_tokens_scored);
  Json json = {{"perplexity", Perplexity(result.window_losses, weights)},
               {"stderr", NumberOrNull(PerplexityStandardError(result.window_losses, weights))}};
  if (result.text_size) {
    const double loss =
        MeanLoss(result.window_losses, weights) * static_cast<double>(result.tokens);
    AddTextMetrics(*result.text_size, loss, &json);
  }
  if (result.token_metrics) {
    const std::optional<TokenComparison>& comparison = result.comparison;
    for (const auto& [name, member] : kComparisonFields)
      json[name] = comparison ? Json((*comparison).*member) : Json();
    json["token_losses"] = TokenLossesFileName(cell_id);
  }
  json.update({{"tokens", result.tokens},
               {"protocol", result.protocol},
               {"dataset", result.dataset},
               {"windows", result.window_losses.size()},
               {"window_tokens", result.window_tokens},
               {"text_sha256", result.text_sha256},
               {"ids_sha256", result.ids_sha256}});
  if (result.stop) {
    json["stop_when"] = {{"loss_vs_fp_stderr", result.stop->rule.loss_vs_fp_stderr}};
    json["windows_of_text"] = result.stop->windows_of_text;
    json["window_indices"] = result.stop->window_indices;
  }
  if (!result.window_tokens_scored.empty())
    json["window_tokens_scored"] = result.window_tokens_scored;
  json["window_losses"] = result.window_losses;
  return json;
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

std::vector<double> WindowWeights(const std::vector<Index>& scored_tokens) {
  return {scored_tokens.begin(), scored_tokens.end()};
}

std::string TokenLossesFileName(const std::string& cell_id) {
  return cell_id + ".token-losses.f32";
}

TokenComparison CompareTokens(std::vector<float> token_kl,
                              const std::vector<Index>& top1_agreements) {
  DAQ_CHECK(!token_kl.empty(), "a token was scored");
  const auto tokens = static_cast<double>(token_kl.size());
  const Index agreements =
      std::accumulate(top1_agreements.begin(), top1_agreements.end(), Index{0});
  // The mean first: percentiles reorder.
  return {.kl_mean = Sum(token_kl) / tokens,
          .kl_p50 = Quantile(token_kl, 0.5),
          .kl_p90 = Quantile(token_kl, 0.9),
          .kl_p99 = Quantile(token_kl, 0.99),
          .top1_agreement = static_cast<double>(agreements) / tokens};
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
    json["metrics"] = {{cell.evaluation.name, MetricJson(cell.evaluation, cell.id)}};
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
