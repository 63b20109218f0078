#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <vector>

#include "base/work.h"
#include "harness/estimate.h"
#include "harness/shard.h"
#include "harness/workload.h"

namespace daq {

// What of a share is left to do: cells, by their place in Workload::cells, with the windows that
// are missing; none where only parts are to be joined. Those of a cell that may stop early are in
// the steps after which it looks (harness/stop_rule.h), though it may need only the first of them:
// a forecast counts them all.
using PendingCells = std::map<std::size_t, std::vector<WindowRange>>;

// Reads what is in the experiment's folder. Throws InputError for a damaged cell or part.
PendingCells FindPending(const Workload& work, const Share& share,
                         const std::filesystem::path& folder);

// The arms of pending cells that are quantised, each once, in order; none in a run that only
// evaluates.
std::vector<const Arm*> ArmsToQuantize(const Workload& work, RunStage stage,
                                       const PendingCells& pending);

// What pending cells need of the machine.
struct Forecast {
  Work work;
  // Of the pass that needs most, as it will run: with its hidden states if the budget holds them.
  std::uint64_t memory_bytes = 0;
  std::uint64_t fixed_bytes = 0;  // of the pass that needs most besides its states
  // Hidden states past the budget, a saved copy of the largest pass's, and full precision's states
  // that tokens are compared with.
  std::uint64_t scratch_bytes = 0;
  std::uint64_t packed_bytes = 0;  // of all quantised models
};

// Counts full precision's passes that run only because others are compared with it: its own cell
// may be done while its states are gone.
Forecast ForecastOf(const Workload& work, RunStage stage, const PendingCells& pending, int threads,
                    std::uint64_t memory_budget_bytes);

}  // namespace daq
