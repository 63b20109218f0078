#pragma once
#include <filesystem>
#include <string>

#include "harness/cell_record.h"
#include "harness/experiment.h"
#include "harness/manifest.h"
#include "tests/support/temporary_folder.h"

namespace daq {

// A finished experiment's config and results: fp16, rtn and daq of one model on one text.
class ExperimentResults {
 public:
  // Losses of so many windows in each cell. With fewer than two there are no intervals, which are
  // most of a report's time.
  explicit ExperimentResults(Index windows);

  const ExperimentFile& experiment() const { return experiment_; }
  const Manifest& manifest() const { return manifest_; }
  // Below the folder of all results, as runs have it.
  std::filesystem::path folder() const { return folder_.path() / experiment_.name; }
  const std::filesystem::path& all_results() const { return folder_.path(); }
  std::filesystem::path CellFile(const std::string& id) const {
    return folder() / "cells" / (id + ".json");
  }

 private:
  TemporaryFolder folder_;
  ExperimentFile experiment_;
  Manifest manifest_;
};

// Writes a report of the cells that are there, of a kind that `choice` picks, or what `inspect`
// prints of them.
void ReportSomehow(const ExperimentResults& results, const Manifest& manifest, std::size_t choice);

}  // namespace daq
