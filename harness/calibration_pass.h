#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "eval/checkpoint.h"
#include "eval/token_windows.h"
#include "harness/block_quantizer.h"
#include "harness/module_errors.h"
#include "harness/stage.h"

namespace daq {

// The calibration windows on their way through the model, and what the layers of the present block
// read of them.
class CalibrationPass {
 public:
  // What the windows are wanted for.
  struct Use {
    // The numbers of windows at which statistics are read, ascending and distinct; the last is all
    // that are used.
    std::vector<Index> sizes;
    // Transforms that look at module outputs use no more than the first so many; 0: there are none.
    Index module_windows = 0;
    // Windows of another pass at the same time, which shares the memory budget; null: none.
    const TokenWindows* beside = nullptr;
    // What the recipes need besides (RecipeBytes of harness/estimate.h).
    std::uint64_t recipe_bytes = 0;
  };

  CalibrationPass(const Checkpoint& checkpoint, const TokenWindows& windows, const Use& use,
                  const Stage& stage);

  // Begins a block: forgets the statistics of the one before.
  void Begin();

  // Carries the next windows, up to the first `windows`, through the block and adds what its layers
  // read to the statistics.
  void Advance(const BlockWeights& weights, Index windows);

  // Adds what the layers of `input` read in the first `windows` windows, whose states stay before
  // the block.
  void Observe(const BlockWeights& weights, Index windows, std::optional<LinearInput> input);

  // Carries all windows through the block, looking at nothing.
  void Skip(const BlockWeights& weights);

  // What is known after Advance or Observe. `original`: the weights that were run, for module
  // errors; it and this must outlive the result.
  BlockCalibration Calibration(const BlockWeights& original);

  const LayerStatistics* Statistics(LinearInput input) const {
    return &statistics_[static_cast<std::size_t>(input)];
  }

  // Begins the statistics of one input anew.
  void Restart(LinearInput input);

 private:
  InputTap Tap(std::optional<LinearInput> only);
  LayerStatistics Empty(LinearInput input) const;

  ModelConfig config_;
  std::vector<Index> sizes_;
  ThreadPool* pool_;
  HiddenStates states_;
  BlockForward forward_;
  std::vector<LayerStatistics> statistics_;  // by LinearInput
  std::unique_ptr<ModuleErrors> attention_;  // null where no transform looks at module outputs
  std::unique_ptr<ModuleErrors> mlp_;
  Index advanced_ = 0;  // windows behind the present block
};

}  // namespace daq
