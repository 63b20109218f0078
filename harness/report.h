#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "harness/experiment.h"
#include "harness/manifest.h"

namespace daq {

enum class ReportFormat { kMarkdown, kCsv, kJson, kLatex, kHtml };

// How a report is written.
struct ReportOptions {
  ReportFormat format = ReportFormat::kMarkdown;
  std::string against = {};  // rows that the others are compared with, as ReportCells takes it
};

// An experiment's finished cells: as tables (Markdown, LaTeX with the booktabs package, or one HTML
// page with plots that needs nothing else, harness/report_html.h), arranged as the config's
// `report` says, or one row a recipe; one line a cell (CSV); or an array of the objects of
// docs/results.md (JSON: one a recipe, with all its evaluations under `metrics`). Cells that are
// not computed yet are left empty, or out. The same cells give the same text, to the byte.
std::string Report(const ExperimentFile& experiment, const Manifest& manifest,
                   const std::filesystem::path& folder, const ReportOptions& options);

// Reports of several experiments as one: JSON is still one array, CSV has one header. Throws
// InputError for several HTML pages.
std::string JoinReports(const std::vector<std::string>& reports, ReportFormat format);

}  // namespace daq
