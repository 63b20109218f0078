#pragma once
#include <string>
#include <vector>

#include "eval/checkpoint.h"
#include "eval/token_windows.h"
#include "harness/quantized_store.h"
#include "harness/stage.h"
#include "methods/recipe.h"

namespace daq {

// One quantised model to be made: a recipe and where its blocks go.
struct QuantizeJob {
  Recipe recipe;
  std::string description;  // for progress
  Index windows = 0;        // calibrated on the first so many windows of the pass; 0: on none
  QuantizedStore store;
  std::string error = {};  // set by QuantizeModel if this recipe failed; the others go on
};

// The texts of a quantise pass.
struct QuantizeTexts {
  const TokenWindows* calibration = nullptr;  // null if no job has any
  // Null, or what layer reports measure errors on besides: on the inputs that the full-precision
  // model gives, whatever the jobs calibrate on.
  const TokenWindows* held_out = nullptr;
};

// The blocks of a model that are wanted, `end` not included.
struct BlockRange {
  Index first = 0;
  Index end = 0;
};

// Quantises `blocks` of the checkpoint with every job's recipe in one pass: each block's weights
// are read once and the calibration windows forwarded once for all jobs that calibrate on
// full-precision inputs, whatever their numbers of windows. A job that calibrates on inputs behind
// quantised blocks carries states of its own, and has the blocks before `blocks` quantised, too.
// Blocks that are in a job's store already are kept. Throws InputError for a damaged checkpoint or
// a memory budget that does not hold one block.
void QuantizeModel(const Checkpoint& checkpoint, const QuantizeTexts& texts,
                   const BlockRange& blocks, std::vector<QuantizeJob>* jobs, const Stage& stage);

}  // namespace daq
