#include "harness/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/statistics.h"
#include "harness/arm_family.h"
#include "harness/cell_store.h"
#include "harness/cell_work.h"
#include "harness/estimate.h"
#include "harness/evaluate_stage.h"
#include "harness/folder_lock.h"
#include "harness/host.h"
#include "harness/manifest.h"
#include "harness/quantize_stage.h"

namespace daq {
namespace {

class Runner {
 public:
  Runner(const Workload& work, const RunOptions& options, const std::filesystem::path& folder)
      : work_(work), options_(options), folder_(folder), store_(folder), pool_(options.threads) {
    for (std::size_t cell = 0; cell < work.cells.size(); ++cell) {
      if (!store_.IsDone(work.cells[cell].id)) pending_.insert(cell);
    }
    // Measuring takes a second: not where nobody looks at progress, or nothing is to be done.
    const MachineRates rates =
        options.quiet || pending_.empty() ? MachineRates{} : KeptRates(RatesFile(), &pool_);
    progress_ = std::make_unique<Progress>(rates.Seconds(PendingWork()), options.quiet);
    stage_ = {.pool = &pool_,
              .progress = progress_.get(),
              .rates = rates,
              .work_folder = folder / "work",
              .save_interval = options.save_interval,
              .memory_budget_bytes = options.memory_budget_bytes};
    host_ = DescribeHost(options.threads);
  }

  RunOutcome Run() {
    CheckMemory();
    // Pending cells in order: full precision comes first, and a quantise pass serves all arms that
    // share it.
    while (!pending_.empty()) {
      const Arm& arm = ArmOf(*pending_.begin());
      if (!arm.recipe.full_precision && !quantized_.contains(arm.id)) Quantize(arm);
      EvaluateArm(arm);
    }
    for (const Cell& cell : work_.cells) {
      if (cell.compared()) RemoveReference(cell.reference, stage_);
    }
    progress_->Note(fmt::format("{} computed{}, {} already there", Cells(computed_),
                                failed_ == 0 ? "" : fmt::format(", {} failed", failed_),
                                work_.cells.size() - computed_ - failed_));
    return outcome_;
  }

 private:
  const Arm& ArmOf(std::size_t cell) const { return work_.arms[work_.cells[cell].arm]; }
  const Checkpoint& CheckpointOf(const Arm& arm) const {
    return work_.models[arm.model]->checkpoint;
  }
  const TokenWindows& WindowsOf(std::size_t cell) const {
    return work_.evaluations[work_.cells[cell].evaluation].windows;
  }
  QuantizedStore StoreOf(const Arm& arm) const {
    return QuantizedStore(stage_.work_folder / arm.id);
  }

  Work PendingWork() const {
    std::vector<const Cell*> cells;
    std::vector<const Arm*> arms;
    for (const std::size_t cell : pending_) {
      cells.push_back(&work_.cells[cell]);
      AddQuantizedArm(ArmOf(cell), &arms);
    }
    return EvaluationWorkOf(work_, cells) + QuantizeWorkOf(work_, FamiliesOf(work_, arms));
  }

  // Refuses before the first hour what would not fit in the last.
  void CheckMemory() const {
    MemoryEstimate most;  // of all cells, so that one refusal names what suffices
    const auto include = [&](const MemoryEstimate& estimate) {
      most.fixed_bytes = std::max(most.fixed_bytes, estimate.fixed_bytes);
    };
    std::vector<const Arm*> arms;
    for (const std::size_t cell : pending_) {
      const ModelConfig& config = CheckpointOf(ArmOf(cell)).config();
      include(EvaluationMemory(config, WindowsOf(cell).count(), WindowsOf(cell).window_tokens,
                               options_.threads, work_.cells[cell].compared()));
      AddQuantizedArm(ArmOf(cell), &arms);
    }
    for (const ArmFamily& family : FamiliesOf(work_, arms))
      include(QuantizeMemoryOf(work_, family, options_.threads));
    StatesFitInMemory(most, options_.memory_budget_bytes);
  }

  // One pass for every pending arm that can share it with `first`.
  void Quantize(const Arm& first) {
    std::vector<const Arm*> candidates = {&first};
    for (const std::size_t cell : pending_) {
      if (!quantized_.contains(ArmOf(cell).id)) AddQuantizedArm(ArmOf(cell), &candidates);
    }
    const ArmFamily family = FamilyOf(work_, candidates);
    for (const Arm* arm : family.arms) quantized_.insert(arm->id);
    std::vector<QuantizeJob> jobs = JobsOf(work_, family, stage_.work_folder);
    try {
      const Checkpoint& checkpoint = CheckpointOf(first);
      QuantizeModel(checkpoint, family.texts, checkpoint.config().num_layers, &jobs, stage_);
    } catch (const InputError& error) {
      FailInput(first, error);
      return;
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (!jobs[i].error.empty()) FailArm(*family.arms[i], jobs[i].error);
    }
  }

  // A wrong input: nothing of this model can be computed.
  void FailInput(const Arm& arm, const InputError& error) {
    outcome_ = RunOutcome::kBadInput;
    for (const Arm& other : work_.arms) {
      if (other.model == arm.model) FailArm(other, error.what());
    }
  }

  // Records every pending cell of the arm as failed. (They are collected first: recording takes
  // them off the list.)
  void FailArm(const Arm& arm, const std::string& message) {
    if (outcome_ == RunOutcome::kDone) outcome_ = RunOutcome::kCellFailed;
    for (const std::size_t cell : PendingOf(arm)) Fail(cell, message);
  }

  std::vector<std::size_t> PendingOf(const Arm& arm) const {
    std::vector<std::size_t> cells;
    std::copy_if(pending_.begin(), pending_.end(), std::back_inserter(cells),
                 [&](std::size_t cell) { return &ArmOf(cell) == &arm; });
    return cells;
  }

  void Fail(std::size_t cell, const std::string& message) {
    CellRecord record = NewRecord(cell);
    record.error = message;
    store_.Write(record);
    progress_->Problem(fmt::format("failed: {} on {}: {}", ArmOf(cell).description,
                                   EvaluationName(cell), message));
    pending_.erase(cell);
    ++failed_;
  }

  static std::string Cells(std::size_t count) {
    return fmt::format("{} {}", count, count == 1 ? "cell" : "cells");
  }

  const std::string& EvaluationName(std::size_t cell) const {
    return work_.columns[work_.evaluations[work_.cells[cell].evaluation].column];
  }

  void EvaluateArm(const Arm& arm) {
    for (const std::size_t cell : PendingOf(arm)) {
      if (!pending_.contains(cell)) continue;  // failed together with another
      try {
        Evaluate(cell);
      } catch (const InputError& error) {
        FailInput(arm, error);
      } catch (const Interrupted&) {
        throw;
      } catch (const std::exception& error) {
        if (outcome_ == RunOutcome::kDone) outcome_ = RunOutcome::kCellFailed;
        Fail(cell, error.what());
      }
    }
    if (!arm.recipe.full_precision && !options_.keep_quantized) StoreOf(arm).Remove();
  }

  void Evaluate(std::size_t cell) {
    const Arm& arm = ArmOf(cell);
    const Checkpoint& checkpoint = CheckpointOf(arm);
    progress_->Start(fmt::format("[{}/{}] evaluate {} on {}",
                                 work_.cells.size() - pending_.size() + 1, work_.cells.size(),
                                 arm.description, EvaluationName(cell)));
    const auto started = std::chrono::steady_clock::now();
    CellRecord record = NewRecord(cell);
    BlockSource blocks = FullPrecisionBlocks(checkpoint, &pool_);
    if (!arm.recipe.full_precision) {
      const QuantizedStore store = StoreOf(arm);
      AddLayers(store, checkpoint.config(), &record);
      blocks = [&checkpoint, store, this](Index block, BlockWeights* weights) {
        DequantizeBlock(store.ReadBlock(block), checkpoint.config(), &pool_, weights);
      };
    }
    AddScores(EvaluateWindows(checkpoint, WindowsOf(cell), blocks, work_.cells[cell].id, stage_,
                              NeededReference(cell)),
              &record.evaluation);
    record.evaluate_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    record.peak_rss_bytes = PeakResidentBytes();
    if (!arm.recipe.full_precision) CompareWithFp(cell, &record.evaluation);
    store_.Write(record);
    progress_->Note(fmt::format("{} on {}: perplexity {:.4f} ({})", arm.description,
                                EvaluationName(cell), Perplexity(record.evaluation.window_losses),
                                FormatSeconds(record.evaluate_seconds)));
    pending_.erase(cell);
    ++computed_;
  }

  // Full precision's states are kept only for cells that are still to be compared with them.
  std::string NeededReference(std::size_t cell) const {
    const Cell& own = work_.cells[cell];
    const bool needed = std::any_of(pending_.begin(), pending_.end(), [&](std::size_t other) {
      return work_.cells[other].compared() && work_.cells[other].reference == own.reference;
    });
    return needed ? own.reference : "";
  }

  static void AddScores(WindowScores scores, EvaluationResult* result) {
    result->window_losses = std::move(scores.losses);
    if (!result->token_metrics) return;
    result->token_losses = std::move(scores.token_losses);
    if (!scores.token_kl.empty())
      result->comparison = CompareTokens(std::move(scores.token_kl), scores.top1_agreements);
  }

  CellRecord NewRecord(std::size_t cell) const {
    const Arm& arm = ArmOf(cell);
    const ModelInput& model = *work_.models[arm.model];
    const EvaluationInput& evaluation = work_.evaluations[work_.cells[cell].evaluation];
    CellRecord record;
    record.id = work_.cells[cell].id;
    record.model = model.name;
    record.model_sha256 = model.content_hash;
    record.model_dtype = model.checkpoint.dtype();
    record.recipe = arm.recipe;
    if (arm.recipe.full_precision) record.bits_per_weight = BitsOf(model.checkpoint.dtype());
    if (arm.calibration)
      record.calibration = MakeCalibrationRecord(work_.calibrations[*arm.calibration]);
    if (arm.held_out) record.held_out = MakeCalibrationRecord(work_.calibrations[*arm.held_out]);
    record.evaluation.name = EvaluationName(cell);
    record.evaluation.protocol = evaluation.request.protocol;
    record.evaluation.dataset =
        std::filesystem::path(evaluation.windows.source).filename().string();
    record.evaluation.token_metrics = evaluation.request.token_metrics;
    record.evaluation.window_tokens = evaluation.windows.window_tokens;
    record.evaluation.text_sha256 = evaluation.windows.text_sha256;
    record.evaluation.ids_sha256 = evaluation.windows.ids_sha256;
    record.evaluation.tokens = evaluation.windows.count() * (evaluation.windows.window_tokens - 1);
    record.host = host_;
    record.version = Version();
    return record;
  }

  static double BitsOf(const std::string& dtype) { return dtype == "F32" ? 32 : 16; }

  // The diagnostics of every layer, and what all of them together store for a weight.
  static void AddLayers(const QuantizedStore& store, const ModelConfig& config,
                        CellRecord* record) {
    std::int64_t bits = 0;
    for (Index block = 0; block < config.num_layers; ++block) {
      const QuantizedBlockReport report = store.ReadReport(block);
      record->quantize_seconds += report.seconds;
      bits += report.stored_bits;
      record->layers.insert(record->layers.end(), report.layers.begin(), report.layers.end());
    }
    record->bits_per_weight =
        static_cast<double>(bits) / static_cast<double>(LinearWeights(config));
  }

  void CompareWithFp(std::size_t cell, EvaluationResult* result) const {
    for (const Cell& other : work_.cells) {
      const Arm& arm = work_.arms[other.arm];
      if (!arm.recipe.full_precision || arm.model != ArmOf(cell).model) continue;
      if (other.evaluation != work_.cells[cell].evaluation || !store_.IsDone(other.id)) continue;
      CompareWithFullPrecision(WindowLossesOf(*store_.Read(other.id)), result);
    }
  }

  const Workload& work_;
  const RunOptions& options_;
  std::filesystem::path folder_;
  CellStore store_;
  ThreadPool pool_;
  std::unique_ptr<Progress> progress_;
  Stage stage_;
  nlohmann::ordered_json host_;
  std::set<std::size_t> pending_;    // cells to be computed, in order
  std::set<std::string> quantized_;  // arms whose quantise pass has run
  std::size_t computed_ = 0;
  std::size_t failed_ = 0;
  RunOutcome outcome_ = RunOutcome::kDone;
};

}  // namespace

std::filesystem::path ExperimentFolder(const ExperimentFile& experiment,
                                       const std::filesystem::path& results) {
  return results / experiment.name;
}

void RefuseProblems(const Workload& workload) {
  if (workload.problems.empty()) return;
  throw InputError(fmt::format("{}", fmt::join(workload.problems, "\n")));
}

namespace {

// What a killed run was writing. Only while the folder is locked: another run's are its own.
void RemoveTemporaryFiles(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ".tmp")
      found.push_back(entry.path());
  }
  for (const std::filesystem::path& file : found) std::filesystem::remove(file);
}

}  // namespace

RunOutcome RunExperiment(const ExperimentFile& experiment, const RunOptions& options) {
  const std::filesystem::path folder = ExperimentFolder(experiment, options.results);
  const Workload work =
      ResolveWorkload(experiment, {.data = options.data, .results = options.results});
  RefuseProblems(work);
  const FolderLock lock(folder);
  RemoveTemporaryFiles(folder);
  WriteManifest(MakeManifest(experiment, work), folder);
  for (const std::string& warning : work.warnings) fmt::print(stderr, "warning: {}\n", warning);
  return Runner(work, options, folder).Run();
}

}  // namespace daq
