#pragma once
#include <filesystem>

#include "eval/block_forward.h"
#include "eval/hidden_states.h"

namespace daq {

// What quantising some layers of a module does to the module's output on the calibration windows:
// attention for q, k, v; the MLP for gate and up. Inputs and outputs of the full-precision module
// are kept, in memory or in a scratch file, for one block at a time.
class ModuleErrors {
 public:
  enum class Module { kAttention, kMlp };

  // `forward` must outlive this. In memory if `scratch_folder` is empty (eval/hidden_states.h).
  ModuleErrors(Module module, Index windows, Index hidden_size, BlockForward* forward,
               Index window_tokens, ThreadPool* pool, const std::filesystem::path& scratch_folder);

  // The kind of rows that Capture takes.
  LinearInput input() const;

  // Keeps the module's inputs of the windows [first_window, ...) as an InputTap shows them. Windows
  // come in order; window 0 begins another block.
  void Capture(Index first_window, const ConstMatrixView& rows);

  // The mean, over the tokens of the first `windows` windows and the hidden features, of the
  // squared difference between the module's outputs with `trial` and with `original`, the block
  // that was captured. The same bits for any thread count.
  double Mean(const BlockWeights& original, const BlockWeights& trial, Index windows);

 private:
  void Output(const BlockWeights& weights, Index first, Index count, MatrixView output);

  Module module_;
  BlockForward* forward_;
  ThreadPool* pool_;
  HiddenStates inputs_;
  HiddenStates outputs_;
  Index outputs_done_ = 0;  // windows whose outputs are computed
  MatrixF scratch_;         // a batch of outputs
};

}  // namespace daq
