#include "harness/report_config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "harness/config_schema.h"
#include "harness/report_cells.h"
#include "harness/report_values.h"

namespace daq {
namespace {

constexpr std::array<std::string_view, 7> kFieldNames = {
    "model", "method", "format", "symmetry", "granularity", "calibration", "evaluation"};
constexpr std::array<std::string_view, 3> kBoldNames = {"none", "best", "not_worse"};
constexpr std::array<std::string_view, 3> kErrorNames = {"none", "stderr", "interval"};

std::size_t PlaceOf(std::span<const std::string_view> names, std::string_view name) {
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

std::vector<ReportField> ReadFields(const YamlValue& value) {
  std::vector<ReportField> fields;
  for (const YamlValue& item : value.List("a list such as [method, calibration]")) {
    const auto field = static_cast<ReportField>(PlaceOf(kFieldNames, item.Name(kFieldNames)));
    if (std::find(fields.begin(), fields.end(), field) != fields.end())
      item.Refuse("every field once");
    fields.push_back(field);
  }
  return fields;
}

std::vector<std::string> ReadValues(const YamlValue& value) {
  std::vector<std::string_view> names;
  for (const ReportValue& known : ReportValues()) names.push_back(known.name);
  if (!value.IsList()) return {std::string(value.Name(names))};
  std::vector<std::string> values;
  for (const YamlValue& item : value.List("")) {
    std::string name(item.Name(names));
    if (std::find(values.begin(), values.end(), name) != values.end())
      item.Refuse("every number once");
    values.push_back(std::move(name));
  }
  return values;
}

template <typename Predicate>
bool AnyRecipe(const std::vector<Experiment>& points, Predicate predicate) {
  return std::any_of(points.begin(), points.end(), [&](const Experiment& point) {
    return std::any_of(
        point.recipes.begin(), point.recipes.end(),
        [&](const RecipeRequest& request) { return predicate(request.recipe.method); });
  });
}

template <typename Predicate>
bool AnyEvaluation(const std::vector<Experiment>& points, Predicate predicate) {
  return std::any_of(points.begin(), points.end(), [&](const Experiment& point) {
    return std::any_of(point.evaluations.begin(), point.evaluations.end(), predicate);
  });
}

// What an experiment lacks for a number to be known of any result; empty if nothing.
std::string Lacks(const std::string& value, const std::vector<Experiment>& points) {
  const auto is_fp = [](const std::string& method) { return method == "fp16"; };
  const bool has_fp = AnyRecipe(points, is_fp);
  if (value == "loss_vs_fp" && !has_fp) return "fp16 among the recipes";
  if (value == "loss_reduction") {
    const auto is_other = [&](const std::string& method) {
      return !is_fp(method) && !IsBaseline(method);
    };
    if (!has_fp || !AnyRecipe(points, IsBaseline) || !AnyRecipe(points, is_other))
      return "fp16, one of rtn, gptq and awq, and another method among the recipes";
  }
  const bool of_tokens = value.starts_with("kl_") || value == "top1_agreement";
  if (of_tokens &&
      !AnyEvaluation(points, [](const auto& request) { return request.token_metrics; }))
    return "token_metrics: true in an evaluation";
  const bool of_words =
      value == "word_perplexity" || value == "byte_perplexity" || value == "bits_per_byte";
  if (of_words && !AnyEvaluation(points, [](const auto& request) {
        return request.protocol == "lm-eval-wikitext";
      }))
    return "an evaluation by lm-eval-wikitext";
  return "";
}

}  // namespace

std::string_view NameOf(ReportField field) { return kFieldNames[static_cast<std::size_t>(field)]; }

ReportLayout ReadReportLayout(const YamlValue& value) {
  YamlMap map(value, "a map with rows and columns", KeysBelow("report"));
  ReportLayout layout{
      .rows = ReadFields(map.Get("rows", "a list such as [method]")),
      .columns = ReadFields(map.Get("columns", "a list such as [format, evaluation]")),
      .where = value.where()};
  for (const ReportField field : layout.columns) {
    if (std::find(layout.rows.begin(), layout.rows.end(), field) != layout.rows.end())
      map.Refuse("each field in rows or in columns", fmt::format("{} in both", NameOf(field)));
  }
  if (const std::optional<YamlValue> values = map.Find("value"))
    layout.values = ReadValues(*values);
  if (const std::optional<YamlValue> error = map.Find("error"))
    layout.error = static_cast<ReportLayout::Error>(PlaceOf(kErrorNames, error->Name(kErrorNames)));
  if (const std::optional<YamlValue> bold = map.Find("bold"))
    layout.bold = static_cast<ReportLayout::Bold>(PlaceOf(kBoldNames, bold->Name(kBoldNames)));
  if (const std::optional<YamlValue> published = map.Find("published"))
    layout.published = published->Bool();
  const auto has = [&](const auto& is_meant) {
    return std::any_of(layout.values.begin(), layout.values.end(), is_meant);
  };
  if (layout.published && !has([](const std::string& name) {
        return name == "perplexity" || name == "word_perplexity";
      }))
    map.Refuse("value: perplexity where published is true, for published values are perplexities",
               fmt::format("value: {}", fmt::join(layout.values, ", ")));
  if (layout.error == ReportLayout::Error::kStandardError &&
      !has([](const std::string& name) { return FindReportValue(name).has_standard_error; }))
    map.Refuse("value: perplexity or loss_vs_fp where error is stderr",
               fmt::format("value: {}", fmt::join(layout.values, ", ")));
  if (layout.error == ReportLayout::Error::kInterval &&
      !has([](const std::string& name) { return FindReportValue(name).has_interval; }))
    map.Refuse("value: loss_vs_fp or loss_reduction where error is interval",
               fmt::format("value: {}", fmt::join(layout.values, ", ")));
  map.Finish("in a report");
  return layout;
}

void RequireValues(const ReportLayout& layout, const std::vector<Experiment>& points) {
  for (const std::string& value : layout.values) {
    if (const std::string lacking = Lacks(value, points); !lacking.empty())
      throw InputError(layout.where, "report.value",
                       fmt::format("{} where it is {}", lacking, value), "none");
  }
}

}  // namespace daq
