#include "harness/cell_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

bool IsText(const Json& value) { return value.is_string(); }
bool IsObject(const Json& value) { return value.is_object(); }
bool IsList(const Json& value) { return value.is_array(); }
bool IsNumber(const Json& value) { return value.is_number(); }
// Numbers that are not finite are null in JSON.
bool IsNumberOrNull(const Json& value) { return value.is_number() || value.is_null(); }
// A number with a fraction or beyond 64 bits would be cast to what it is not.
bool IsCount(const Json& value) {
  return value.is_number_unsigned() && value.get<std::uint64_t>() <= std::uint64_t{1} << 62U;
}
bool AreCounts(const Json& list, std::size_t size) {
  return list.is_array() && list.size() == size && std::all_of(list.begin(), list.end(), IsCount);
}
bool IsCountOrNull(const Json& value) { return IsCount(value) || value.is_null(); }
bool IsObjectOrNull(const Json& value) { return value.is_object() || value.is_null(); }

// A key and what its value must be.
struct Member {
  const char* key;
  bool (*fits)(const Json& value);
};

constexpr Member kCell[] = {{"id", IsText},
                            {"status", IsText},
                            {"model_sha256", IsText},
                            {"method", IsText},
                            {"transform", IsText},
                            {"range", IsText},
                            {"rounding", IsText},
                            {"format", IsText},
                            {"granularity", IsText},
                            {"bits_per_weight", IsNumberOrNull},
                            {"calibration", IsObjectOrNull},
                            {"metrics", IsObject},
                            {"seconds", IsObject},
                            {"peak_rss_bytes", IsCount},
                            {"host", IsObjectOrNull},
                            {"version", IsText},
                            {"numerics", IsCount},
                            {"recipe", IsObject},
                            {"layers", IsList}};
constexpr Member kSeconds[] = {{"quantize", IsNumber}, {"evaluate", IsNumber}};
constexpr Member kHost[] = {{"processor", IsText},
                            {"threads", IsCount},
                            {"system", IsText},
                            {"compiler", IsText},
                            {"blas", IsText}};
constexpr Member kCalibration[] = {{"protocol", IsText},         {"dataset", IsText},
                                   {"windows", IsCount},         {"window_tokens", IsCount},
                                   {"documents", IsCountOrNull}, {"seed", IsCountOrNull},
                                   {"ids_sha256", IsText}};
constexpr Member kMetric[] = {
    {"perplexity", IsNumberOrNull}, {"stderr", IsNumberOrNull}, {"tokens", IsCount},
    {"protocol", IsText},           {"dataset", IsText},        {"windows", IsCount},
    {"window_tokens", IsCount},     {"ids_sha256", IsText},     {"window_losses", IsList}};
constexpr Member kOptional[] = {
    {"kl_mean", IsNumberOrNull},         {"kl_p50", IsNumberOrNull},
    {"kl_p90", IsNumberOrNull},          {"kl_p99", IsNumberOrNull},
    {"top1_agreement", IsNumberOrNull},  {"word_perplexity", IsNumberOrNull},
    {"byte_perplexity", IsNumberOrNull}, {"bits_per_byte", IsNumberOrNull},
    {"windows_of_text", IsCount},        {"stop_when", IsObject}};
constexpr Member kLayer[] = {{"layer", IsText}};
constexpr Member kLayerRatios[] = {{"output_error_vs_rtn", IsNumberOrNull},
                                   {"held_out_error_vs_rtn", IsNumberOrNull}};

std::string Problem(const Json& object, std::span<const Member> members, const std::string& above,
                    bool optional = false) {
  for (const auto& [key, fits] : members) {
    const auto found = object.find(key);
    if (found == object.end()) {
      if (!optional) return above + key + " is not there";
    } else if (!fits(*found)) {
      return above + key + " is of another type";
    }
  }
  return "";
}

std::string MetricProblem(const Json& cell) {
  const Json& metrics = cell.at("metrics");
  if (metrics.size() != 1 || !metrics.begin()->is_object()) return "metrics is not one metric";
  const Json& metric = *metrics.begin();
  if (std::string problem = Problem(metric, kMetric, "metrics."); !problem.empty()) return problem;
  const Json& losses = metric.at("window_losses");
  if (losses.empty() || metric.at("windows").get<std::uint64_t>() != losses.size() ||
      !std::all_of(losses.begin(), losses.end(), IsNumber))
    return "metrics.window_losses is not one number for each of its windows";
  if (metric.contains("window_indices")) {
    const Json& indices = metric.at("window_indices");
    const auto not_after = [](const Json& a, const Json& b) {
      return b.get<std::uint64_t>() <= a.get<std::uint64_t>();
    };
    if (!AreCounts(indices, losses.size()) ||
        std::adjacent_find(indices.begin(), indices.end(), not_after) != indices.end())
      return "metrics.window_indices is not one number for each of its windows, increasing";
  }
  if (metric.contains("window_tokens_scored")) {
    if (!AreCounts(metric.at("window_tokens_scored"), losses.size()))
      return "metrics.window_tokens_scored is not one count for each of its windows";
  }
  return Problem(metric, kOptional, "metrics.", /*optional=*/true);
}

std::string LayersProblem(const Json& cell) {
  for (const Json& layer : cell.at("layers")) {
    if (!layer.is_object()) return "layers is no list of objects";
    for (const bool optional : {false, true}) {
      std::string problem = optional ? Problem(layer, kLayerRatios, "layers.", true)
                                     : Problem(layer, kLayer, "layers.");
      if (!problem.empty()) return problem;
    }
  }
  return "";
}

// The recipe's format decides which cells are compared; full precision has none.
std::string RecipeProblem(const Json& cell) {
  const Json& recipe = cell.at("recipe");
  const bool full_precision =
      recipe.contains("full_precision") && recipe.at("full_precision") == true;
  if (full_precision && !recipe.contains("format")) return "";
  constexpr Member kRecipe[] = {{"format", IsObject}};
  if (std::string problem = Problem(recipe, kRecipe, "recipe."); !problem.empty()) return problem;
  constexpr auto kAnything = [](const Json&) { return true; };
  constexpr Member kFormat[] = {{"codebook", kAnything}, {"group_size", IsCount}};
  return Problem(recipe.at("format"), kFormat, "recipe.format.");
}

}  // namespace

std::string CellProblem(const Json& cell) {
  if (!cell.is_object()) return "it is no object";
  std::string problem = Problem(cell, kCell, "");
  if (problem.empty()) problem = Problem(cell.at("seconds"), kSeconds, "seconds.");
  if (problem.empty() && !cell.at("host").is_null())
    problem = Problem(cell.at("host"), kHost, "host.");
  if (problem.empty() && !cell.at("calibration").is_null())
    problem = Problem(cell.at("calibration"), kCalibration, "calibration.");
  if (problem.empty()) problem = LayersProblem(cell);
  if (problem.empty()) problem = RecipeProblem(cell);
  if (!problem.empty()) return problem;
  constexpr Member kFailed[] = {{"error", IsText}};
  return cell.at("status") == "done" ? MetricProblem(cell) : Problem(cell, kFailed, "");
}

}  // namespace daq
