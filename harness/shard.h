#pragma once
#include <cstddef>
#include <map>
#include <string_view>

#include "base/matrix.h"
#include "harness/window_range.h"
#include "harness/workload.h"

namespace daq {

// One of `count` parts of a run, for job arrays and for machines without a scheduler.
struct Shard {
  Index index = 1;  // 1 .. count
  Index count = 1;
};

// Reads "2/4". Throws InputError that names --shard.
Shard ParseShard(std::string_view text);

// What of the work a run does: all of it, or one of the stages, which meet in files. kEvaluate is
// of every cell, kFullPrecision of full precision's alone, which come first where there is a gate
// (harness/protocol_gate.h). kJoin computes nothing: it writes the cells whose windows are all
// there in parts (harness/cell_parts.h).
enum class RunStage { kAll, kFullPrecision, kQuantize, kEvaluate, kJoin };

// Whether a stage quantises models, or takes them as they are.
constexpr bool Quantizes(RunStage stage) {
  return stage == RunStage::kAll || stage == RunStage::kQuantize;
}

// Whether a stage evaluates cells.
constexpr bool Evaluates(RunStage stage) {
  return stage == RunStage::kAll || stage == RunStage::kFullPrecision ||
         stage == RunStage::kEvaluate;
}

// The part of an experiment that one run computes: cells, by their place in Workload::cells, with
// the windows that are its own. Ranges are never empty.
struct Share {
  RunStage stage = RunStage::kAll;
  bool whole = true;  // the experiment's only run: no other works on its folder
  std::map<std::size_t, WindowRange> cells = {};
};

// The share of a run without a shard.
Share WholeShare(const Workload& work, RunStage stage);

// A shard's share. It follows from the experiment alone, not from the machine or from what is done
// already, so that a resubmitted shard goes on with its own work. Shares cover the work without
// overlap and weigh about the same: `full_precision` and `evaluate` cut between windows, so that
// one long evaluation is shared too, but not inside a cell that may stop early
// (harness/stop_rule.h), whose later windows may never be needed; `quantize` and a run of both
// stages cut between arms, because an arm is quantised in one piece.
Share ShareOf(const Workload& work, RunStage stage, const Shard& shard);

}  // namespace daq
