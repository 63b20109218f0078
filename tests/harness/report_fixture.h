#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "harness/cell_store.h"
#include "harness/report_cells.h"
#include "methods/registry.h"
#include "tests/support/temporary_folder.h"

namespace daq {

// Made-up cells of one model and evaluation.
class ReportCellsTest : public testing::Test {
 protected:
  ReportCellsTest() {
    manifest_.columns = {{.title = "text", .protocol = "ids", .text = "w.json"}};
  }

  // Adds a row and its cell; the row's number.
  std::size_t Add(const std::string& method, const std::string& format,
                  const std::vector<double>& losses, const std::string& calibration = "",
                  const std::optional<CalibrationRecord>& record = {}) {
    CellRecord cell;
    cell.id = "cell-" + std::to_string(manifest_.rows.size());
    cell.model_dtype = "F16";
    cell.recipe.method = method;
    cell.recipe.full_precision = method == "fp16";
    if (!cell.recipe.full_precision) {
      const std::string book = format.substr(0, format.find('-'));
      const Codebook codebook = *FindCodebook(book, false);
      cell.recipe =
          MakeRecipe(*FindPreset(method),
                     {.codebook = codebook, .symmetric = !codebook.integer && book == format});
    }
    cell.calibration = record;
    cell.evaluation.name = "text";
    cell.evaluation.window_losses = losses;
    cell.evaluation.window_tokens_scored = window_tokens_scored_;
    if (!window_indices_.empty()) {
      cell.evaluation.stop = EvaluationStop{.rule = {.loss_vs_fp_stderr = 1},
                                            .window_indices = window_indices_,
                                            .windows_of_text = Size(kFp)};
    }
    CellStore(folder_.path()).Write(cell);
    manifest_.rows.push_back(MakeManifestRow("model", cell.model_dtype, cell.recipe));
    manifest_.rows.back().calibration = calibration;
    manifest_.rows.back().cells = {cell.id};
    return manifest_.rows.size() - 1;
  }

  nlohmann::ordered_json Metric(std::size_t row, const std::string& against = "") const {
    return ReportCells(manifest_, folder_.path(), against).Find(row, 0)->metric;
  }

  // kFp plus `loss` nats in every window, and a little that differs between pairs of windows.
  static std::vector<double> Worse(double loss, double ripple = 0) {
    std::vector<double> losses = kFp;
    for (std::size_t w = 0; w < losses.size(); ++w)
      losses[w] += loss + (w % 4 < 2 ? ripple : -ripple);
    return losses;
  }

  // Enough windows for intervals.
  inline static const std::vector<double> kFp = {3.1, 2.9, 3.4, 2.6, 3.0, 3.3, 2.8, 2.9,
                                                 3.1, 2.9, 3.4, 2.6, 3.0, 3.3, 2.8, 2.9,
                                                 3.1, 2.9, 3.4, 2.6, 3.0, 3.3, 2.8, 2.9};
  TemporaryFolder folder_;
  Manifest manifest_;
  static Index Size(const std::vector<double>& losses) { return static_cast<Index>(losses.size()); }

  std::vector<Index> window_indices_;  // of the next cell's windows, of one that may have stopped
  std::vector<Index> window_tokens_scored_;  // of every cell's windows; empty: all the same
  ExperimentFile experiment_ = {
      .name = "made-up", .path = "", .memory_budget_bytes = {}, .points = {}};
};

}  // namespace daq
