#include "harness/quantize_stage.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "eval/block_forward.h"
#include "eval/window_losses.h"
#include "harness/estimate.h"
#include "harness/evaluate_stage.h"
#include "methods/quantize_layer.h"

namespace daq {
namespace {

// One reader of each LinearInput, in its order.
constexpr std::array<LinearLayer, 4> kFirstReaders = {LinearLayer::kQuery, LinearLayer::kOutput,
                                                      LinearLayer::kGate, LinearLayer::kDown};

// The calibration windows on their way through the model, and what each layer of the current block
// reads of them.
class CalibrationPass {
 public:
  CalibrationPass(const Checkpoint& checkpoint, const TokenWindows& windows, const Stage& stage)
      : states_(windows.count(), windows.window_tokens, checkpoint.config().hidden_size,
                StatesFitInMemory(QuantizeMemory(checkpoint.config(), windows.count(),
                                                 windows.window_tokens, stage.pool->threads()),
                                  stage.memory_budget_bytes)
                    ? std::filesystem::path()
                    : stage.work_folder),
        forward_(checkpoint.config(), windows.window_tokens, stage.pool),
        config_(checkpoint.config()),
        pool_(stage.pool) {
    EmbedTokens(checkpoint, windows, stage.pool, &states_);
  }

  // Forwards all windows through the block and keeps the inputs of its layers.
  void Run(const BlockWeights& weights) {
    const Index tokens = states_.window_tokens();
    statistics_.clear();
    for (const LinearLayer layer : kFirstReaders) {
      statistics_.emplace_back(LinearLayerShape(config_, layer).in_features,
                               std::vector<Index>{states_.windows() * tokens});
    }
    forward_.Run(weights, &states_, [&](LinearInput input, Index, const ConstMatrixView& rows) {
      for (Index row = 0; row < rows.rows(); row += tokens)
        statistics_[static_cast<std::size_t>(input)].Add(rows.middleRows(row, tokens), pool_);
    });
  }

  const LayerStatistics* StatisticsOf(LinearLayer layer) const {
    return &statistics_[static_cast<std::size_t>(InputOf(layer))];
  }

 private:
  HiddenStates states_;
  BlockForward forward_;
  std::vector<LayerStatistics> statistics_;  // by LinearInput
  ModelConfig config_;
  ThreadPool* pool_;
};

// Quantises one block with one recipe. `weights` is the block as the checkpoint has it.
void QuantizeBlock(const Checkpoint& checkpoint, Index block, BlockWeights* weights,
                   const RecipeParts& parts, const QuantizeJob& job,
                   const CalibrationPass* calibration, ThreadPool* pool) {
  const auto started = std::chrono::steady_clock::now();
  const ModelConfig& config = checkpoint.config();
  const auto statistics_of = [&](LinearLayer layer) {
    return calibration == nullptr ? nullptr : calibration->StatisticsOf(layer);
  };
  // A transform that rewrites blocks needs a copy of the block and a callback for its modules'
  // outputs.
  DAQ_CHECK(parts.transform->is_identity(), "the only transform so far leaves blocks as they are");
  QuantizedBlock content{
      .attention_norm = weights->attention_norm, .mlp_norm = weights->mlp_norm, .layers = {}};
  QuantizedBlockReport report;
  for (const LinearLayer layer : kLinearLayers) {
    QuantizedLayer quantized = QuantizeLayer(
        parts, job.recipe.format, weights->Layer(config, layer),
        {.name = LinearLayerName(block, layer), .statistics = statistics_of(layer), .pool = pool});
    report.stored_bits += StoredBits(quantized.matrix);
    report.layers.push_back(std::move(quantized.report));
    content.layers.push_back(std::move(quantized.matrix));
  }
  report.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  job.store.WriteBlock(block, content, report);
}

}  // namespace

void QuantizeModel(const Checkpoint& checkpoint, const TokenWindows* calibration,
                   std::vector<QuantizeJob>* jobs, const Stage& stage) {
  const ModelConfig& config = checkpoint.config();
  std::vector<RecipeParts> parts;
  for (const QuantizeJob& job : *jobs) parts.push_back(MakeParts(job.recipe));
  // Blocks from which on every job is complete need neither reading nor forwarding.
  Index end = 0;
  for (const QuantizeJob& job : *jobs) {
    for (Index block = 0; block < config.num_layers; ++block)
      end = job.store.HasBlock(block) ? end : std::max(end, block + 1);
  }
  std::unique_ptr<CalibrationPass> pass;
  if (calibration != nullptr && end > 0)
    pass = std::make_unique<CalibrationPass>(checkpoint, *calibration, stage);
  const BlockSource read = FullPrecisionBlocks(checkpoint, stage.pool);
  BlockWeights weights(config);
  for (Index block = 0; block < end; ++block) {
    ThrowIfInterrupted();
    read(block, &weights);
    if (pass) pass->Run(weights);
    for (std::size_t i = 0; i < jobs->size(); ++i) {
      QuantizeJob& job = (*jobs)[i];
      if (!job.error.empty()) continue;
      stage.progress->Start("quantize " + job.description);
      try {
        if (!job.store.HasBlock(block)) {
          QuantizeBlock(checkpoint, block, &weights, parts[i], job, pass.get(), stage.pool);
        }
      } catch (const Interrupted&) {
        throw;
      } catch (const std::exception& error) {
        job.error = error.what();
      }
      stage.progress->Add(QuantizeFlops(config));
    }
  }
}

}  // namespace daq
