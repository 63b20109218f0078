#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "harness/experiment.h"
#include "harness/shard.h"
#include "harness/workload.h"

namespace daq {

// What the command line says of a run.
struct RunOptions {
  int threads = 1;
  std::uint64_t memory_budget_bytes = 0;
  std::filesystem::path results = "results";
  std::filesystem::path data = "data";
  std::chrono::seconds save_interval{60};
  bool keep_quantized = false;  // keep the packed weights of finished models
  bool quiet = false;           // no progress
  bool gate = true;             // stop where full precision is not what is published of it
  RunStage stage = RunStage::kAll;
  std::optional<Shard> shard = {};  // empty: everything
};

// The folder of one experiment's cells, manifest and unfinished work.
std::filesystem::path ExperimentFolder(const ExperimentFile& experiment,
                                       const std::filesystem::path& results);

// How a run ended, as the process's exit code says it.
enum class RunOutcome { kDone = 0, kCellFailed = 1, kBadInput = 2 };

// Computes the cells that are missing, or of a shard its share. Shards of one experiment may run at
// the same time, on machines that share the results folder; whoever evaluates the last windows of a
// cell writes it. A run that only evaluates leaves cells out whose model is not quantised yet, and
// ends with kCellFailed. A cell that fails is recorded with its message and the
// others go on; a wrong input found on the way (a damaged tensor, say) fails the cells that need it
// and gives kBadInput. Throws InputError before any work if an input is missing or wrong, and
// behind full precision if that is not what is published of it; what IsOfTheMachine (base/error.h);
// and Interrupted when the user asks to stop. What is finished is kept either way.
RunOutcome RunExperiment(const ExperimentFile& experiment, const RunOptions& options);

// Throws InputError that tells all of the workload's problems, if it has any.
void RefuseProblems(const Workload& workload);

// The workload's warnings, and what is odd about the options on this machine.
std::vector<std::string> WarningsOf(const Workload& workload, const RunOptions& options);

}  // namespace daq
