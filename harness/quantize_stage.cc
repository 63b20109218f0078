#include "harness/quantize_stage.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/machine_error.h"
#include "harness/block_quantizer.h"
#include "harness/calibration_pass.h"
#include "harness/estimate.h"
#include "harness/evaluate_stage.h"

namespace daq {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point started) {
  return std::chrono::duration<double>(Clock::now() - started).count();
}

// A job at work.
struct Worker {
  QuantizeJob* job;
  RecipeParts parts;

  bool IsAlive() const { return job->error.empty(); }
  bool LooksAtModules() const { return parts.transform->needs_statistics(); }
  bool HasOwnStates() const {
    return job->windows > 0 && job->recipe.propagation != Propagation::kFullPrecision;
  }
};

// What the passes over one model share.
struct ModelPass {
  const Checkpoint& checkpoint;
  const QuantizeTexts& texts;
  BlockRange blocks;
  const Stage& stage;

  const ModelConfig& config() const { return checkpoint.config(); }

  // For progress: what a job does to a block, and what its share of the windows costs.
  Work BlockWorkOf(const Worker& worker) const {
    return QuantizeWork(config(), RecipeShapeOf(worker), ShapeOf(texts.held_out));
  }
  Work PassWorkOf(Index windows) const {
    return CalibrationWork(config(), FirstWindows(windows)) +
           CalibrationWork(config(), ShapeOf(texts.held_out));
  }
  std::uint64_t RecipeBytesOf(const std::vector<Worker*>& workers) const {
    std::vector<RecipeShape> recipes;
    recipes.reserve(workers.size());
    for (const Worker* worker : workers) recipes.push_back(RecipeShapeOf(*worker));
    return RecipeBytes(config(), recipes, stage.pool->threads());
  }
  RecipeShape RecipeShapeOf(const Worker& worker) const {
    return {&worker.parts, &worker.job->recipe.format, FirstWindows(worker.job->windows)};
  }
  WindowShape FirstWindows(Index windows) const {
    return {windows, texts.calibration == nullptr ? 0 : texts.calibration->window_tokens};
  }
};

// The pass of the held-out windows beside another; nothing where there are none.
class HeldOutPass {
 public:
  explicit HeldOutPass(const ModelPass& model) {
    if (model.texts.held_out == nullptr) return;
    windows_ = model.texts.held_out->count();
    pass_ = std::make_unique<CalibrationPass>(
        model.checkpoint, *model.texts.held_out,
        CalibrationPass::Use{.sizes = {windows_}, .beside = model.texts.calibration}, model.stage);
  }

  // Carries the windows through a block; its statistics are there until the next call if
  // `observed`.
  void Run(const BlockWeights& weights, bool observed) {
    if (!pass_) return;
    if (!observed) {
      pass_->Skip(weights);
      return;
    }
    pass_->Begin();
    pass_->Advance(weights, windows_);
  }

  const LayerStatistics* Statistics(LinearInput input) const {
    return pass_ ? pass_->Statistics(input) : nullptr;
  }

 private:
  Index windows_ = 0;
  std::unique_ptr<CalibrationPass> pass_;
};

// Runs `step` for a job; what it throws becomes the job's error, unless the user asked to stop. A
// block that cannot be read is discarded.
template <typename Step>
void Attempt(Worker* worker, const Step& step) {
  try {
    step();
  } catch (const Interrupted&) {
    throw;
  } catch (const UnusableBlock& error) {
    worker->job->store.Discard(error.block());
    worker->job->error = error.what();
  } catch (const std::exception& error) {
    if (IsOfTheMachine(error)) throw;
    worker->job->error = error.what();
  }
}

void Store(const Worker& worker, Index block, BlockQuantizer* quantizer, double seconds) {
  auto [content, report] = quantizer->Take();
  report.seconds = seconds;
  worker.job->store.WriteBlock(block, content, report);
}

// The index past the last block of `blocks` that `worker` lacks; 0 if there is none.
Index EndOf(const Worker& worker, const BlockRange& blocks) {
  Index end = blocks.end;
  while (end > blocks.first && worker.job->store.HasBlock(end - 1)) --end;
  return end > blocks.first ? end : 0;
}

// The calibration sizes of these jobs, ascending and distinct.
std::vector<Index> SizesOf(const std::vector<Worker*>& workers) {
  std::set<Index> sizes;
  for (const Worker* worker : workers) {
    if (worker->job->windows > 0) sizes.insert(worker->job->windows);
  }
  return {sizes.begin(), sizes.end()};
}

Index ModuleWindowsOf(const std::vector<Worker*>& workers) {
  Index windows = 0;
  for (const Worker* worker : workers) {
    if (worker->LooksAtModules()) windows = std::max(windows, worker->job->windows);
  }
  return windows;
}

// Quantises a block from full-precision inputs.
void QuantizeBlock(const ModelPass& model, Index block, const BlockWeights& weights,
                   const BlockCalibration& calibration, const HeldOutPass& held_out,
                   Worker* worker) {
  const auto started = Clock::now();
  BlockQuantizer quantizer(worker->parts, worker->job->recipe.format, model.config(), block,
                           weights, model.stage.pool);
  quantizer.Transform(calibration);
  for (const LinearInput input : kLinearInputs) {
    ThrowIfInterrupted();
    quantizer.QuantizeLayers(input, calibration.statistics[static_cast<std::size_t>(input)],
                             /*transformed=*/false, held_out.Statistics(input));
  }
  Store(*worker, block, &quantizer, SecondsSince(started));
}

// One pass for all jobs that calibrate on full-precision inputs, or on none. At each calibration
// size the jobs of that size are served before more windows follow, so statistics exist once.
void QuantizeTogether(const ModelPass& model, const std::vector<Worker*>& workers) {
  Index end = 0;
  for (const Worker* worker : workers) end = std::max(end, EndOf(*worker, model.blocks));
  std::unique_ptr<CalibrationPass> pass;
  const std::vector<Index> sizes = SizesOf(workers);
  if (end == 0) return;
  if (!sizes.empty()) {
    pass = std::make_unique<CalibrationPass>(
        model.checkpoint, *model.texts.calibration,
        CalibrationPass::Use{.sizes = sizes,
                             .module_windows = ModuleWindowsOf(workers),
                             .beside = model.texts.held_out,
                             .recipe_bytes = model.RecipeBytesOf(workers)},
        model.stage);
  }
  HeldOutPass held_out(model);
  const BlockSource read = FullPrecisionBlocks(model.checkpoint, model.stage.pool);
  BlockWeights weights(model.config());
  // Without a text there is nothing to carry through the blocks before those that are wanted.
  const bool carries = pass != nullptr || model.texts.held_out != nullptr;
  for (Index block = carries ? 0 : model.blocks.first; block < end; ++block) {
    ThrowIfInterrupted();
    read(block, &weights);
    const auto lacks_block = [&](const Worker* worker) {
      return block >= model.blocks.first && worker->IsAlive() &&
             !worker->job->store.HasBlock(block);
    };
    held_out.Run(weights, std::any_of(workers.begin(), workers.end(), lacks_block));
    const auto serve = [&](Index windows, const BlockCalibration& calibration) {
      for (Worker* worker : workers) {
        if (worker->job->windows != windows || !worker->IsAlive()) continue;
        model.stage.progress->Start("quantize " + worker->job->description);
        if (lacks_block(worker)) {
          Attempt(worker,
                  [&] { QuantizeBlock(model, block, weights, calibration, held_out, worker); });
        }
        model.stage.Done(model.BlockWorkOf(*worker));
      }
    };
    serve(0, {});
    if (!pass) continue;
    const bool wanted = std::any_of(workers.begin(), workers.end(), [&](const Worker* worker) {
      return worker->job->windows > 0 && lacks_block(worker);
    });
    if (!wanted) {
      pass->Skip(weights);
      continue;
    }
    pass->Begin();
    for (const Index windows : sizes) {
      pass->Advance(weights, windows);
      serve(windows, pass->Calibration(weights));
    }
    model.stage.Done(model.PassWorkOf(sizes.back()));
  }
}

// Quantises a block on inputs behind the quantised blocks before it.
void QuantizeBlockInSequence(const ModelPass& model, Index block, const BlockWeights& weights,
                             CalibrationPass* pass, const HeldOutPass& held_out, Worker* worker) {
  const auto started = Clock::now();
  const Index windows = worker->job->windows;
  const bool within_block = worker->job->recipe.propagation == Propagation::kQuantizedWithinBlock;
  BlockQuantizer quantizer(worker->parts, worker->job->recipe.format, model.config(), block,
                           weights, model.stage.pool);
  pass->Begin();
  if (!within_block || !worker->parts.transform->is_identity()) {
    pass->Observe(weights, windows, std::nullopt);
    quantizer.Transform(pass->Calibration(weights));
  }
  for (const LinearInput input : kLinearInputs) {
    ThrowIfInterrupted();
    if (within_block) {
      pass->Restart(input);
      pass->Observe(quantizer.weights(), windows, input);
    }
    quantizer.QuantizeLayers(input, pass->Statistics(input), /*transformed=*/within_block,
                             held_out.Statistics(input));
  }
  Store(*worker, block, &quantizer, SecondsSince(started));
}

// The pass of one job that carries its own states through its own quantised blocks.
void QuantizeInSequence(const ModelPass& model, Worker* worker) {
  const Index end = EndOf(*worker, model.blocks);
  if (end == 0) return;
  const ModelConfig& config = model.config();
  const Index windows = worker->job->windows;
  CalibrationPass pass(
      model.checkpoint, *model.texts.calibration,
      CalibrationPass::Use{.sizes = {windows},
                           .module_windows = worker->LooksAtModules() ? windows : 0,
                           .beside = model.texts.held_out,
                           .recipe_bytes = model.RecipeBytesOf({worker})},
      model.stage);
  HeldOutPass held_out(model);
  const BlockSource read = FullPrecisionBlocks(model.checkpoint, model.stage.pool);
  BlockWeights weights(config);
  for (Index block = 0; block < end && worker->IsAlive(); ++block) {
    ThrowIfInterrupted();
    model.stage.progress->Start("quantize " + worker->job->description);
    const bool wanted = !worker->job->store.HasBlock(block);
    if (wanted || model.texts.held_out != nullptr) {
      read(block, &weights);
      held_out.Run(weights, wanted);
    }
    if (wanted) {
      Attempt(worker,
              [&] { QuantizeBlockInSequence(model, block, weights, &pass, held_out, worker); });
    }
    if (worker->IsAlive() && block + 1 < end) {
      Attempt(worker, [&] {
        DequantizeBlock(worker->job->store.ReadBlock(block, config), config, model.stage.pool,
                        &weights);
        pass.Skip(weights);
      });
    }
    model.stage.Done(model.BlockWorkOf(*worker) + model.PassWorkOf(windows));
  }
}

}  // namespace

void QuantizeModel(const Checkpoint& checkpoint, const QuantizeTexts& texts,
                   const BlockRange& blocks, std::vector<QuantizeJob>* jobs, const Stage& stage) {
  const ModelPass model{checkpoint, texts, blocks, stage};
  std::vector<Worker> workers;
  for (QuantizeJob& job : *jobs) {
    DAQ_CHECK(job.windows == 0 || texts.calibration != nullptr,
              "a job's windows are of the calibration");
    workers.push_back({.job = &job, .parts = MakeParts(job.recipe)});
  }
  std::vector<Worker*> together;
  for (Worker& worker : workers) {
    if (!worker.HasOwnStates()) together.push_back(&worker);
  }
  if (!together.empty()) QuantizeTogether(model, together);
  for (Worker& worker : workers) {
    if (worker.HasOwnStates()) QuantizeInSequence(model, &worker);
  }
}

}  // namespace daq
