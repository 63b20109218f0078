#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/matrix.h"
#include "base/thread_pool.h"
#include "eval/attention.h"
#include "eval/block_weights.h"
#include "eval/hidden_states.h"
#include "eval/rope.h"

namespace daq {

// The four activations that a block's linear layers read.
enum class LinearInput { kAttention, kOutput, kMlp, kDown };  // of q/k/v, of o, of gate/up, of down

inline constexpr std::array<LinearInput, 4> kLinearInputs = {
    LinearInput::kAttention, LinearInput::kOutput, LinearInput::kMlp, LinearInput::kDown};

// The input that `layer` reads.
LinearInput InputOf(LinearLayer layer);

// The first of kLinearLayers that reads `input`.
LinearLayer FirstReaderOf(LinearInput input);

// Receives the input rows of windows [first_window, ...) as the pass computes them; called on the
// calling thread.
using InputTap =
    std::function<void(LinearInput input, Index first_window, const ConstMatrixView& rows)>;

// Runs decoder blocks over windows, float32.
//
// Work is cut into pieces of a fixed size (a tile of tokens by a tile of outputs; a head by a tile
// of queries), each computed by one thread, and a product's elements depend on their own row and
// column alone: so a window's result depends neither on the number of threads nor on the windows
// beside it, and one window alone keeps all cores busy.
class BlockForward {
 public:
  // pool must outlive this.
  BlockForward(const ModelConfig& config, Index window_tokens, ThreadPool* pool);

  // Replaces the states of all windows by the block's output. `on_windows_done(n)` follows each
  // batch of n windows.
  void Run(const BlockWeights& weights, HiddenStates* states, const InputTap& tap = {},
           const std::function<void(Index windows)>& on_windows_done = {});

  // The same for the windows [first, first + count) alone.
  void Run(const BlockWeights& weights, HiddenStates* states, Index first, Index count,
           const InputTap& tap);

  // Shows the block's layer inputs for the windows [first, first + count) and leaves the states as
  // they are.
  void Observe(const BlockWeights& weights, HiddenStates* states, Index first, Index count,
               const InputTap& tap);

  // What attention (q, k, v, rotation, softmax, o), or the MLP, adds to the residual stream, for
  // normalised inputs as InputTap shows them: whole windows, at most batch_windows().
  // input, output: [windows * window_tokens, hidden].
  void AttentionOutput(const BlockWeights& weights, const ConstMatrixView& input,
                       MatrixView output);
  void MlpOutput(const BlockWeights& weights, const ConstMatrixView& input, MatrixView output);

  // Windows that are run together.
  Index batch_windows() const { return batch_windows_; }

  // Bytes of scratch space that a pass over windows of this length holds.
  static std::uint64_t WorkspaceBytes(const ModelConfig& config, Index windows, Index window_tokens,
                                      int threads);

 private:
  void RunBatch(const BlockWeights& weights, Index first_window, MatrixView states,
                const InputTap& tap);
  void Attend(const BlockWeights& weights, const ConstMatrixView& input);
  void Activate(const BlockWeights& weights, const ConstMatrixView& input);
  void Multiply(const ConstMatrixView& input, const MatrixF& weight, MatrixF* to);
  void AddProduct(const ConstMatrixView& input, const MatrixF& weight, MatrixView to);
  void RotateHeads(Index windows);
  void AttendHeads(Index windows);
  void ActivateGate(Index rows);

  ModelConfig config_;
  Index window_tokens_;
  Index batch_windows_;
  ThreadPool* pool_;
  RopeTable rope_;
  MatrixF normed_;           // [batch rows, hidden]
  MatrixF query_key_value_;  // [batch rows, query_size + 2 * key_value_size]
  MatrixF attended_;         // [batch rows, query_size]
  MatrixF gate_up_;          // [batch rows, 2 * intermediate]
  std::vector<AttentionScratch> attention_scratch_;  // one a worker
};

}  // namespace daq
