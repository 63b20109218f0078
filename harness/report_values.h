#pragma once
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "harness/experiment.h"

namespace daq {

// A number of a result that tables show; docs/metrics.md defines it.
struct ReportValue {
  std::string_view name;   // in configs, and of the metric's field (bits_per_weight: of the cell's)
  std::string_view title;  // of a column that stands beside another number's
  std::string_view meaning;
  std::string_view pattern = "{:.3f}";  // fmt's, of the number times `factor`
  double factor = 1;
  std::string_view unit = "";  // behind it
  bool higher_is_better = false;
  bool follows_perplexity = false;  // orders arms as perplexities on the same windows do
  bool has_standard_error = false;  // the metric has it
  bool has_interval = false;        // likewise
};

// All of them, in the order in which messages list them.
std::span<const ReportValue> ReportValues();

// The one of that name, which must be one.
const ReportValue& FindReportValue(std::string_view name);

// "5.678", with its error as "5.678 ± 0.012" or "+0.439 [+0.361, +0.521]" where it has one of that
// kind. Empty where the number is not known.
std::string ReportText(const ReportValue& value, const nlohmann::ordered_json& metric,
                       ReportLayout::Error error);

// "+0.439 [+0.361, +0.521] *": the difference to the row that `--against` names, marked where it is
// significant.
std::string AgainstText(const nlohmann::ordered_json& metric);

// What that column says.
std::string AgainstMeaning(const std::string& against);

}  // namespace daq
