#pragma once
#include <functional>
#include <string>
#include <vector>

#include "eval/block_weights.h"
#include "eval/checkpoint.h"
#include "eval/token_windows.h"
#include "harness/stage.h"

namespace daq {

// Fills the weights of decoder block `block`: the checkpoint's own, or a quantised model's.
using BlockSource = std::function<void(Index block, BlockWeights* weights)>;

// The checkpoint's own weights, read by all threads. Throws InputError at a damaged tensor.
BlockSource FullPrecisionBlocks(const Checkpoint& checkpoint, ThreadPool* pool);

// The mean loss of each window in nats (eval/window_losses.h), one block's weights in memory at a
// time. `key` names the pass by content: a pass that was stopped goes on after the last block whose
// states were saved, and ends with the same bits. Throws std::runtime_error if a loss is not
// finite.
std::vector<double> EvaluateWindows(const Checkpoint& checkpoint, const TokenWindows& windows,
                                    const BlockSource& blocks, const std::string& key,
                                    const Stage& stage);

}  // namespace daq
