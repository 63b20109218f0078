#include "harness/calibration_pass.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/error.h"
#include "eval/window_scores.h"
#include "harness/estimate.h"

namespace daq {
namespace {

// Where states go: nowhere, i.e. memory, or the scratch folder.
std::filesystem::path StatesFolder(const ModelConfig& config, WindowShape windows,
                                   const CalibrationPass::Use& use, const Stage& stage) {
  const MemoryEstimate memory = QuantizeMemory(config,
                                               {.calibration = windows,
                                                .held_out = ShapeOf(use.beside),
                                                .module_windows = use.module_windows,
                                                .recipe_bytes = use.recipe_bytes},
                                               stage.pool->threads());
  return StatesFitInMemory(memory, stage.memory_budget_bytes) ? std::filesystem::path()
                                                              : stage.work_folder;
}

}  // namespace

CalibrationPass::CalibrationPass(const Checkpoint& checkpoint, const TokenWindows& windows,
                                 const Use& use, const Stage& stage)
    : config_(checkpoint.config()),
      sizes_(use.sizes),
      pool_(stage.pool),
      states_(sizes_.back(), windows.window_tokens, config_.hidden_size,
              StatesFolder(config_, {sizes_.back(), windows.window_tokens}, use, stage)),
      forward_(config_, windows.window_tokens, stage.pool) {
  DAQ_CHECK(sizes_.front() > 0 && sizes_.back() <= windows.count(), "windows of the calibration");
  EmbedTokens(checkpoint, windows, stage.pool, &states_);
  if (use.module_windows == 0) return;
  const std::filesystem::path folder =
      StatesFolder(config_, {sizes_.back(), windows.window_tokens}, use, stage);
  for (auto [module, errors] : {std::pair(ModuleErrors::Module::kAttention, &attention_),
                                std::pair(ModuleErrors::Module::kMlp, &mlp_)}) {
    *errors = std::make_unique<ModuleErrors>(module, use.module_windows, config_.hidden_size,
                                             &forward_, windows.window_tokens, stage.pool, folder);
  }
}

LayerStatistics CalibrationPass::Empty(LinearInput input) const {
  std::vector<Index> tokens;
  for (const Index size : sizes_) tokens.push_back(size * states_.window_tokens());
  return {LinearLayerShape(config_, FirstReaderOf(input)).in_features, std::move(tokens)};
}

void CalibrationPass::Begin() {
  advanced_ = 0;
  statistics_.clear();
  for (const LinearInput input : kLinearInputs) statistics_.push_back(Empty(input));
}

void CalibrationPass::Restart(LinearInput input) {
  statistics_[static_cast<std::size_t>(input)] = Empty(input);
}

InputTap CalibrationPass::Tap(std::optional<LinearInput> only) {
  return [this, only](LinearInput input, Index first_window, const ConstMatrixView& rows) {
    if (only && input != *only) return;
    const Index tokens = states_.window_tokens();
    for (Index row = 0; row < rows.rows(); row += tokens)
      statistics_[static_cast<std::size_t>(input)].Add(rows.middleRows(row, tokens), pool_);
    if (only || !attention_) return;
    for (ModuleErrors* errors : {attention_.get(), mlp_.get()}) {
      if (errors->input() == input) errors->Capture(first_window, rows);
    }
  };
}

void CalibrationPass::Advance(const BlockWeights& weights, Index windows) {
  forward_.Run(weights, &states_, advanced_, windows - advanced_, Tap(std::nullopt));
  advanced_ = windows;
}

void CalibrationPass::Observe(const BlockWeights& weights, Index windows,
                              std::optional<LinearInput> input) {
  forward_.Observe(weights, &states_, 0, windows, Tap(input));
}

void CalibrationPass::Skip(const BlockWeights& weights) { forward_.Run(weights, &states_); }

BlockCalibration CalibrationPass::Calibration(const BlockWeights& original) {
  BlockCalibration calibration;
  for (std::size_t input = 0; input < statistics_.size(); ++input)
    calibration.statistics[input] = &statistics_[input];
  if (!attention_) return calibration;
  const Index windows = statistics_.front().tokens() / states_.window_tokens();
  calibration.module_error = [this, &original, windows](LinearInput input,
                                                        const BlockWeights& trial) {
    ModuleErrors& errors = input == LinearInput::kAttention ? *attention_ : *mlp_;
    return errors.Mean(original, trial, windows);
  };
  return calibration;
}

}  // namespace daq
