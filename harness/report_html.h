#pragma once
#include <filesystem>
#include <string>

#include "harness/report_cells.h"
#include "harness/report_tables.h"

namespace daq {

// One HTML page that needs nothing else, neither network nor scripts: the tables, plots
// (harness/report_plots.h) and those that `inspect` has drawn into the experiment's folder,
// warnings (cells that failed or are missing, full precision off its published value), what the
// numbers mean, the resolved config and what computed the cells. For screens of any width, light
// and dark, and for print. Throws std::runtime_error if gnuplot is not installed or fails.
std::string HtmlReport(const ExperimentFile& experiment, const Manifest& manifest,
                       const ReportCells& cells, const ReportTables& tables,
                       const std::filesystem::path& folder);

}  // namespace daq
