#pragma once
#include <cstdint>
#include <vector>

#include "base/work.h"
#include "eval/model_config.h"
#include "eval/token_windows.h"
#include "methods/quantize_layer.h"

namespace daq {

// Floating-point operations (a multiply-add counts two) of one decoder block over windows of this
// length, with causal attention counted as half a square.
double BlockFlops(const ModelConfig& config, Index windows, Index window_tokens);

// The same of the final logits.
double HeadFlops(const ModelConfig& config, Index windows, Index window_tokens);

// The same as work: a forward pass has this share of the rate of plain products
// (docs/performance.md).
Work BlockWork(const ModelConfig& config, Index windows, Index window_tokens);
// `compared` with full precision, the head works on both models' states.
Work HeadWork(const ModelConfig& config, Index windows, Index window_tokens, bool compared = false);

// Reading a block's weights, or unpacking them.
Work ReadWork(const ModelConfig& config);

// So many blocks, read and run.
Work BlocksWork(const ModelConfig& config, Index blocks, Index windows, Index window_tokens);

// A pass of the whole model: blocks and head.
Work EvaluationWork(const ModelConfig& config, Index windows, Index window_tokens,
                    bool compared = false);

// Peak bytes of a pass over the model: float32 weights of one block, scratch space, and, if they
// are kept in memory, the hidden states of all windows.
struct MemoryEstimate {
  std::uint64_t fixed_bytes = 0;  // weights, scratch space, the program
  std::uint64_t states_bytes =
      0;  // hidden states; go to a scratch file where the budget does not hold both
};
// `compared` with full precision, that has states too.
MemoryEstimate EvaluationMemory(const ModelConfig& config, Index windows, Index window_tokens,
                                int threads, bool compared = false);

// How many windows of how many tokens; none by default.
struct WindowShape {
  Index windows = 0;
  Index window_tokens = 0;
};

// Of windows that need not be there.
WindowShape ShapeOf(const TokenWindows* windows);

// A recipe of a quantise pass, for forecasts. What is pointed to must outlive it.
struct RecipeShape {
  const RecipeParts* parts;
  const Format* format;
  WindowShape calibration;
};

// Bytes that the recipes of a pass need besides: what parts keep with the statistics, all together,
// and what the recipe with most works with.
std::uint64_t RecipeBytes(const ModelConfig& config, const std::vector<RecipeShape>& recipes,
                          int threads);

// What a quantise pass is asked for.
struct QuantizePassShape {
  WindowShape calibration;
  WindowShape held_out;
  Index module_windows = 0;  // of the calibration, whose modules' outputs a transform looks at
  std::uint64_t recipe_bytes = 0;  // RecipeBytes
};

// The same of a quantise pass: also what is kept of the calibration and the held-out windows'
// inputs, and the states before and behind attention and the MLP for transforms that look at them.
MemoryEstimate QuantizeMemory(const ModelConfig& config, const QuantizePassShape& pass,
                              int threads);

// Rough work of carrying calibration windows through one block and collecting what its layers read.
Work CalibrationWork(const ModelConfig& config, WindowShape windows);

// Rough work of quantising one block and reporting on it.
Work QuantizeWork(const ModelConfig& config, const RecipeShape& recipe, WindowShape held_out);

// Bytes on disk of one quantised model: codes, scales and zero-points.
std::uint64_t QuantizedBytes(const ModelConfig& config, const Format& format);

// Weights in the linear layers of all blocks.
std::uint64_t LinearWeights(const ModelConfig& config);

// Throws InputError if `fixed_bytes` alone exceeds the budget; true if the states fit beside it.
bool StatesFitInMemory(const MemoryEstimate& estimate, std::uint64_t memory_budget_bytes);

}  // namespace daq
