#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "harness/manifest.h"

namespace daq {

enum class ReportFormat { kMarkdown, kCsv, kJson };

// An experiment's finished cells as a table (Markdown), one line a cell (CSV), or an array of the
// objects of docs/results.md (JSON: one a row of the table, with all its evaluations under
// `metrics`). Cells that are not computed yet are left empty, or out. The same cells give the same
// text, to the byte. `against` names rows that the others are compared with, as ReportCells takes
// it; empty for none.
std::string Report(const Manifest& manifest, const std::filesystem::path& folder,
                   ReportFormat format, const std::string& against = "");

// Reports of several experiments as one: JSON is still one array, CSV has one header.
std::string JoinReports(const std::vector<std::string>& reports, ReportFormat format);

}  // namespace daq
