#pragma once
#include <optional>
#include <string>
#include <vector>

#include "harness/experiment.h"
#include "harness/report_cells.h"
#include "harness/text_table.h"

namespace daq {

// One table of a report.
struct ReportSection {
  std::string heading = {};  // a model's; empty where the table belongs to the one before
  std::string model = {};    // with a heading: what the table is of
  std::string caption = {};
  TextTable table = {};
  std::vector<std::string> remarks = {};  // below it, a line each
};

// What a report says in tables, for any language to write.
struct ReportTables {
  std::vector<ReportSection> sections;
  std::string subject = "perplexity";      // the numbers of tables with a heading
  std::vector<std::string> meanings = {};  // of the numbers, a line each
};

// A table for each model, one row a recipe; beside tables whose rows differ in their calibration's
// seed alone, their means and spreads. With a layout, a table for each model in that arrangement
// (or one for all, if the model is a row or column) instead. Throws InputError for a layout that
// puts two results in one place, or two protocols in one column.
ReportTables MakeReportTables(const Manifest& manifest, const ReportCells& cells,
                              const std::string& against,
                              const std::optional<ReportLayout>& layout);

// The number of a metric that published values are of (harness/published.h).
std::string PublishedMetricOf(const nlohmann::ordered_json& metric);

// "5.68", "5.96 to 6.00" where sources differ. Empty without published values.
std::string PublishedRange(const nlohmann::ordered_json& metric);

// Whether the measured number is within 1 % of none of the published ones; there are some. Sources
// that disagree say nothing of what lies between them.
bool DiffersFromPublished(const nlohmann::ordered_json& metric);

// PublishedRange, with " \u2260" behind where the measured one differs.
std::string PublishedText(const nlohmann::ordered_json& metric);

// "OmniQuant paper (arXiv 2308.13137 v3), Table 1", each once; empty without published values.
std::vector<std::string> PublishedSources(const nlohmann::ordered_json& metric);

}  // namespace daq
