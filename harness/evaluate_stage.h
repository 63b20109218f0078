#pragma once
#include <functional>
#include <string>

#include "eval/block_weights.h"
#include "eval/checkpoint.h"
#include "eval/token_windows.h"
#include "eval/window_scores.h"
#include "harness/stage.h"

namespace daq {

// Fills the weights of decoder block `block`: the checkpoint's own, or a quantised model's.
using BlockSource = std::function<void(Index block, BlockWeights* weights)>;

// The checkpoint's own weights, read by all threads. Throws InputError at a damaged tensor.
BlockSource FullPrecisionBlocks(const Checkpoint& checkpoint, ThreadPool* pool);

// The scores of all windows (eval/window_scores.h), one block's weights in memory at a time. `key`
// names the pass by content: a pass that was stopped goes on after the last block whose states were
// saved, and ends with the same bits. Throws std::runtime_error if a loss is not finite.
//
// `reference` is the key of full precision's pass over the same windows, or empty. If it is `key`
// itself, the states behind the last block are kept in a file of the work folder, tokens x hidden
// floats: the head is never quantised, so they stand for full precision's logits. If it is another,
// the pass is compared with those states; if the file is not there, or damaged, full precision is
// run again and they are kept then.
WindowScores EvaluateWindows(const Checkpoint& checkpoint, const TokenWindows& windows,
                             const BlockSource& blocks, const std::string& key, const Stage& stage,
                             const std::string& reference = "");

// Removes what was kept for comparisons with that pass.
void RemoveReference(const std::string& reference, const Stage& stage);

}  // namespace daq
