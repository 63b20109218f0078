#include "harness/evaluate_stage.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>
#include <stdexcept>

#include "eval/block_forward.h"
#include "harness/estimate.h"
#include "harness/state_checkpoint.h"

namespace daq {

BlockSource FullPrecisionBlocks(const Checkpoint& checkpoint, ThreadPool* pool) {
  return [&checkpoint, pool](Index block, BlockWeights* weights) {
    ReadNorms(checkpoint, block, weights);
    ReadLinearLayers(checkpoint, block, pool, weights);
    ReadAhead(checkpoint, block + 1);  // while this one computes
  };
}

namespace {

// Carries the states of all windows through all blocks.
void RunBlocks(const Checkpoint& checkpoint, const TokenWindows& windows, const BlockSource& blocks,
               StateCheckpoint* saved, const Stage& stage, HiddenStates* states) {
  const ModelConfig& config = checkpoint.config();
  const Index tokens = windows.window_tokens;
  const Index resumed = saved->Load(states).value_or(0);
  if (resumed == 0) EmbedTokens(checkpoint, windows, stage.pool, states);
  stage.Skip(BlocksWork(config, resumed, windows.count(), tokens));
  BlockForward forward(config, tokens, stage.pool);
  BlockWeights weights(config);
  for (Index block = resumed; block < config.num_layers; ++block) {
    blocks(block, &weights);
    stage.Done(ReadWork(config));
    forward.Run(weights, states, {},
                [&](Index count) { stage.Done(BlockWork(config, count, tokens)); });
    saved->SaveIfDue(block + 1, states);
  }
}

StateCheckpoint Saved(const std::string& key, const Stage& stage) {
  return {stage.work_folder / (key + ".states"), key, stage.save_interval};
}

StateCheckpoint KeptReference(const std::string& key, const Stage& stage) {
  return {stage.work_folder / (key + ".reference"), key, stage.save_interval};
}

// Full precision's states behind the last block, from their file or computed.
void ReadReference(const Checkpoint& checkpoint, const TokenWindows& windows,
                   const std::string& key, const Stage& stage, HiddenStates* states) {
  StateCheckpoint kept = KeptReference(key, stage);
  if (kept.Load(states) == checkpoint.config().num_layers) return;
  StateCheckpoint saved = Saved(key, stage);
  RunBlocks(checkpoint, windows, FullPrecisionBlocks(checkpoint, stage.pool), &saved, stage,
            states);
  kept.Save(checkpoint.config().num_layers, states);
  saved.Remove();
}

void CheckFinite(const WindowScores& scores) {
  for (std::size_t window = 0; window < scores.losses.size(); ++window) {
    if (!std::isfinite(scores.losses[window])) {
      throw std::runtime_error(fmt::format("the loss of window {} is {}: the model diverged",
                                           window, scores.losses[window]));
    }
  }
  for (std::size_t token = 0; token < scores.token_kl.size(); ++token) {
    if (!std::isfinite(scores.token_kl[token])) {
      throw std::runtime_error(
          fmt::format("the KL divergence at scored token {} is {}: full precision diverged", token,
                      scores.token_kl[token]));
    }
  }
}

}  // namespace

WindowScores EvaluateWindows(const Checkpoint& checkpoint, const TokenWindows& windows,
                             const BlockSource& blocks, const std::string& key, const Stage& stage,
                             const std::string& reference) {
  const ModelConfig& config = checkpoint.config();
  const Index tokens = windows.window_tokens;
  const bool compared = !reference.empty() && reference != key;
  const bool in_memory = StatesFitInMemory(
      EvaluationMemory(config, windows.count(), tokens, stage.pool->threads(), compared),
      stage.memory_budget_bytes);
  const std::filesystem::path scratch = in_memory ? std::filesystem::path() : stage.work_folder;
  HiddenStates states(windows.count(), tokens, config.hidden_size, scratch);
  StateCheckpoint saved = Saved(key, stage);
  // A block's weights and scratch space are gone before the head's come.
  RunBlocks(checkpoint, windows, blocks, &saved, stage, &states);
  if (reference == key) KeptReference(key, stage).Save(config.num_layers, &states);
  std::optional<HiddenStates> others;
  if (compared) {
    others.emplace(windows.count(), tokens, config.hidden_size, scratch);
    ReadReference(checkpoint, windows, reference, stage, &*others);
  }
  WindowScores scores =
      ScoreWindows(checkpoint, windows, stage.pool, &states, compared ? &*others : nullptr,
                   [&](Index count) { stage.Done(HeadWork(config, count, tokens, compared)); });
  CheckFinite(scores);
  saved.Remove();
  return scores;
}

void RemoveReference(const std::string& reference, const Stage& stage) {
  KeptReference(reference, stage).Remove();
}

}  // namespace daq
