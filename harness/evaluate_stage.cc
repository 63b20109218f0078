#include "harness/evaluate_stage.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "eval/block_forward.h"
#include "eval/window_losses.h"
#include "harness/estimate.h"
#include "harness/state_checkpoint.h"

namespace daq {

BlockSource FullPrecisionBlocks(const Checkpoint& checkpoint, ThreadPool* pool) {
  return [&checkpoint, pool](Index block, BlockWeights* weights) {
    ReadNorms(checkpoint, block, weights);
    ReadLinearLayers(checkpoint, block, pool, weights);
  };
}

std::vector<double> EvaluateWindows(const Checkpoint& checkpoint, const TokenWindows& windows,
                                    const BlockSource& blocks, const std::string& key,
                                    const Stage& stage) {
  const ModelConfig& config = checkpoint.config();
  const Index tokens = windows.window_tokens;
  const bool in_memory =
      StatesFitInMemory(EvaluationMemory(config, windows.count(), tokens, stage.pool->threads()),
                        stage.memory_budget_bytes);
  HiddenStates states(windows.count(), tokens, config.hidden_size,
                      in_memory ? std::filesystem::path() : stage.work_folder);
  StateCheckpoint saved(stage.work_folder / (key + ".states"), key, stage.save_interval);
  const Index resumed = saved.Load(&states).value_or(0);
  if (resumed == 0) EmbedTokens(checkpoint, windows, stage.pool, &states);
  stage.Skip(static_cast<double>(resumed) *
             (ReadWork(config) + BlockWork(config, windows.count(), tokens)));
  {
    // The block's weights and scratch space are gone before the head's come.
    BlockForward forward(config, tokens, stage.pool);
    BlockWeights weights(config);
    for (Index block = resumed; block < config.num_layers; ++block) {
      blocks(block, &weights);
      stage.Done(ReadWork(config));
      forward.Run(weights, &states, {},
                  [&](Index count) { stage.Done(BlockWork(config, count, tokens)); });
      saved.SaveIfDue(block + 1, &states);
    }
  }
  std::vector<double> losses =
      WindowLosses(checkpoint, windows, stage.pool, &states,
                   [&](Index count) { stage.Done(HeadWork(config, count, tokens)); });
  for (std::size_t window = 0; window < losses.size(); ++window) {
    if (!std::isfinite(losses[window])) {
      throw std::runtime_error(
          fmt::format("the loss of window {} is {}: the model diverged", window, losses[window]));
    }
  }
  saved.Remove();
  return losses;
}

}  // namespace daq
