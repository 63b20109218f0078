#pragma once
#include <nlohmann/json.hpp>
#include <string>

#include "harness/report_cells.h"

namespace daq {

// A table for each model, with what its columns mean. `against` as ReportCells was given it.
std::string MarkdownReport(const Manifest& manifest, const ReportCells& cells,
                           const std::string& against);

}  // namespace daq
