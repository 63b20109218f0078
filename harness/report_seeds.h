#pragma once
#include <string>

#include "harness/report_cells.h"

namespace daq {

// How far a number depends on the draw of the calibration text: a Markdown table of one model's
// rows that differ in `calibration.seed` alone, two seeds or more, each number as its mean over the
// seeds ± their standard deviation (not of the mean; divided by n - 1), with n, the seeds that are
// done. Empty if there are no such rows.
std::string SeedTable(const Manifest& manifest, const ReportCells& cells, const std::string& model);

}  // namespace daq
