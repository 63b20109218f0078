#include "harness/report_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "harness/config_schema.h"

namespace daq {
namespace {

constexpr std::array<std::string_view, 6> kFieldNames = {
    "model", "method", "format", "granularity", "calibration", "evaluation"};
constexpr std::array<std::string_view, 11> kValues = {
    "perplexity",      "loss_vs_fp",      "loss_reduction", "kl_mean",
    "kl_p50",          "kl_p99",          "top1_agreement", "bits_per_weight",
    "word_perplexity", "byte_perplexity", "bits_per_byte"};
constexpr std::array<std::string_view, 3> kBoldNames = {"none", "best", "not_worse"};

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

}  // namespace

std::string_view NameOf(ReportField field) { return kFieldNames[static_cast<std::size_t>(field)]; }

std::span<const std::string_view> ReportValues() { return kValues; }

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
  if (const std::optional<YamlValue> name = map.Find("value")) layout.value = name->Name(kValues);
  if (const std::optional<YamlValue> bold = map.Find("bold"))
    layout.bold = static_cast<ReportLayout::Bold>(PlaceOf(kBoldNames, bold->Name(kBoldNames)));
  if (const std::optional<YamlValue> published = map.Find("published"))
    layout.published = published->Bool();
  if (layout.published && layout.value != "perplexity" && layout.value != "word_perplexity")
    map.Refuse("value: perplexity where published is true, for published values are perplexities",
               fmt::format("value: {}", layout.value));
  map.Finish("in a report");
  return layout;
}

}  // namespace daq
