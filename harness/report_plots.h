#pragma once
#include <string>
#include <vector>

#include "harness/report_cells.h"

namespace daq {

// A plot for a report page.
struct ReportPlot {
  std::string title;
  std::string caption;  // what is drawn, in a sentence or two
  std::string svg;      // an svg element
};

// What the cells have to draw, for each model and evaluation: loss of perplexity against the number
// of calibration windows (with the 95 % interval, or the spread where seeds differ), and against
// bits per weight (likewise) with the front of the best at each size; for each model, format and
// granularity the layers' output errors by depth; for each model the time of its recipes. Drawn by
// gnuplot, the same bytes each time. Throws std::runtime_error if that is not installed or fails.
std::vector<ReportPlot> MakeReportPlots(const Manifest& manifest, const ReportCells& cells);

}  // namespace daq
