#pragma once
#include "harness/experiment.h"
#include "harness/report_cells.h"
#include "harness/report_tables.h"

namespace daq {

// The numbers arranged as a layout says. Full precision has no format, granularity or calibration:
// where those make columns, its number stands in every column of its evaluation. Numbers in bold
// are the best of one column, model and evaluation, full precision aside, and those that the paired
// bootstrap of perplexities does not tell from it, which is said of perplexities and losses alone.
// A column for each of the layout's values, and one for the comparison with `against` (empty:
// none). Throws InputError as MakeReportTables does.
ReportTables MakeGridTables(const Manifest& manifest, const ReportCells& cells,
                            const std::string& against, const ReportLayout& layout);

}  // namespace daq
