#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "base/thread_pool.h"
#include "eval/checkpoint.h"
#include "eval/hidden_states.h"
#include "eval/token_windows.h"

namespace daq {

// Sets the states, which may be of the first windows alone, to the embeddings of their tokens. Ids
// must lie in the vocabulary.
void EmbedTokens(const Checkpoint& checkpoint, const TokenWindows& windows, ThreadPool* pool,
                 HiddenStates* states);

// What the final logits of windows say of a model. Every window is scored on the positions t of its
// ScoredRange, each for the token after it; numbers of tokens are in the windows' order.
struct WindowScores {
  std::vector<Index> scored_tokens;  // how many of each window
  std::vector<double> losses;        // the mean of each window's token losses, in nats
  std::vector<float> token_losses;   // -log softmax(logits_t)[token_(t+1)], in nats
  // Beside a reference model only. KL(reference || model) = sum over the vocabulary of
  // p (log p - log q), p = softmax of the reference's logits and q of the model's, in nats. Not
  // clamped: rounding may leave some -1e-6; equal logits give exactly 0.
  std::vector<float> token_kl;
  // Of each window, the tokens for which both have the same highest logit, the first of equal ones.
  std::vector<Index> top1_agreements;
};

// Scores the states after the last decoder block: logits = head * norm(state_t), float32 in tiles
// of the vocabulary; their log-sum-exp and the divergence are kept running, sums in double, so that
// nothing of the size tokens x vocabulary exists. `reference` holds the states of another model
// with the same final norm and head over the same windows, or is null. Both are normalised in
// place: they are of no further use.
WindowScores ScoreWindows(const Checkpoint& checkpoint, const TokenWindows& windows,
                          ThreadPool* pool, HiddenStates* states, HiddenStates* reference = nullptr,
                          const std::function<void(Index windows)>& on_windows_done = {});

// Bytes of scratch space that ScoreWindows holds.
std::uint64_t ScoreWindowsBytes(const ModelConfig& config, Index window_tokens, int threads,
                                bool with_reference);

}  // namespace daq
