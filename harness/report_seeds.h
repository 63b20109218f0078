#pragma once
#include <optional>
#include <string>

#include "harness/report_cells.h"
#include "harness/report_tables.h"

namespace daq {

// How far a number depends on the draw of the calibration text: a table of one model's rows that
// differ in `calibration.seed` alone, two seeds or more, each number as its mean over the seeds ±
// their standard deviation (not of the mean; divided by n - 1), with n, the seeds that are done.
// Nothing if there are no such rows.
std::optional<ReportSection> SeedSection(const Manifest& manifest, const ReportCells& cells,
                                         const std::string& model);

}  // namespace daq
