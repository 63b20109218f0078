// Cells, and the reports that are made of them. An input's first letter says which of an
// experiment's cells it is: daq of one window (d), of two (e) or fp16 (f).
#include "base/file.h"
#include "harness/cell_store.h"
#include "tests/fuzz/experiment_folder.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"

namespace daq {

FuzzTarget CellTarget();

namespace {

// An experiment of which one cell is rewritten.
struct Results {
  Results(Index windows, std::string method)
      : results(windows), id(std::move(method)), cell(results.CellFile(id)) {}
  ExperimentResults results;
  std::string id;
  ScratchFile cell;
};

void ReadCell(std::string_view bytes) {
  static const Results one(1, "daq");
  static const Results two(2, "daq");
  static const Results full(1, "fp16");
  const char kind = bytes.empty() ? 'd' : bytes.front();
  const Results& results = kind == 'e' ? two : kind == 'f' ? full : one;
  results.cell.Write(bytes.substr(bytes.empty() ? 0 : 1));
  const CellStore store(results.results.folder());
  if (store.IsDone(results.id)) WindowLossesOf(*store.Read(results.id));
  ReportSomehow(results.results, results.results.manifest(), bytes.size());
}

std::vector<std::string> Cells() {
  const ExperimentResults one(1);
  const ExperimentResults two(2);
  CellRecord failed;
  failed.id = "daq";
  failed.error = "it did not work";
  failed.recipe.full_precision = true;
  const TemporaryFolder folder;
  CellStore(folder.path()).Write(failed);
  return {"d" + ReadFile(one.CellFile("daq")), "e" + ReadFile(two.CellFile("daq")),
          "f" + ReadFile(one.CellFile("fp16")), "d" + ReadFile(folder.path() / "cells/daq.json")};
}

}  // namespace

FuzzTarget CellTarget() {
  return {.name = "cell",
          .run = ReadCell,
          .seeds = Cells(),
          .words = {"\"done\"", "\"failed\"", "\"window_losses\": [", "\"window_indices\": [0, 1],",
                    "\"calibration\": null", "\"layers\": []", "\"metrics\": {}", "\"windows\": 2",
                    "\"perplexity\": ", "\"documents\": 3", "\"error\": \"x\",",
                    "\"bits_per_weight\": null"}};
}

}  // namespace daq
