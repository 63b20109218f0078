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

// The mean loss of each window in nats: for positions t = 0 .. window_tokens - 2 of the states
// after the last decoder block, -log softmax(head * norm(state_t))[token_(t+1)], averaged over the
// window_tokens - 1 of them. Logits are float32 in tiles of the vocabulary; their log-sum-exp is
// kept running, its sum in double. The states are normalised in place: they are of no further use.
std::vector<double> WindowLosses(const Checkpoint& checkpoint, const TokenWindows& windows,
                                 ThreadPool* pool, HiddenStates* states,
                                 const std::function<void(Index windows)>& on_windows_done = {});

// Bytes of scratch space that WindowLosses holds.
std::uint64_t WindowLossesBytes(const ModelConfig& config, Index window_tokens, int threads);

}  // namespace daq
