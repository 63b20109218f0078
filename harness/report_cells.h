#pragma once
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "harness/manifest.h"
#include "harness/window_series.h"

namespace daq {

// A computed cell as a report has it.
struct ReportCell {
  nlohmann::ordered_json cell;  // the cell's object, as stored
  nlohmann::ordered_json
      metric;  // its one metric with what the comparisons below add; null if failed
  bool failed = false;
  std::shared_ptr<const WindowSeries> series = {};  // null if failed
};

// All computed cells of an experiment, each compared with the others of its model and evaluation by
// the paired bootstrap (base/bootstrap.h), on the windows that both have where an evaluation could
// stop early. docs/metrics.md defines what that adds to a metric:
// loss_vs_fp with its standard error and interval, loss_reduction with its interval and
// best_baseline, and, if asked, the difference to another row. Where results/published.csv has the
// same number of the same protocol, `published` lists it: value as printed, source, table.
class ReportCells {
 public:
  // `against` names the row that each row is compared with, by the first of its fields as tables
  // print them: "awq", "awq nf3", "awq nf3 channel", ..., "fp16"; what it leaves out is as in the
  // row that is compared. "daq nf3" means "daq nf3-asym" where no row has that name itself. Empty:
  // no such comparison. Throws InputError for a name that no row has, and for a damaged cell.
  ReportCells(const Manifest& manifest, const std::filesystem::path& folder,
              const std::string& against);

  // Null if the cell is not computed or the matrix has none there.
  const ReportCell* Find(std::size_t row, std::size_t column) const;

  // Whether `against` gave any cell one to be compared with.
  bool compared() const { return compared_; }

 private:
  class Comparison;

  bool compared_ = false;
  std::vector<std::vector<std::optional<ReportCell>>> cells_;  // [row][column]
};

// Whether a method is one that the paper's headline compares others with: rtn, gptq, awq.
bool IsBaseline(const std::string& method);

// A row's fields as tables print them, joined by spaces: "gptq nf3 channel gptq-c4 128x2048";
// "fp16".
std::string RowLabel(const Manifest::Row& row);

// A layer's field that compares errors; 0 where it is absent or not known.
double ErrorRatio(const nlohmann::ordered_json& layer, const char* field);

// The geometric mean over a cell's layers of a field that compares errors; null if a layer lacks it
// or has no error at all.
nlohmann::ordered_json MeanErrorRatio(const nlohmann::ordered_json& cell, const char* field);

}  // namespace daq
