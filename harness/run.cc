#include "harness/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/machine_error.h"
#include "base/statistics.h"
#include "harness/arm_family.h"
#include "harness/cell_evaluator.h"
#include "harness/cell_parts.h"
#include "harness/cell_store.h"
#include "harness/estimate.h"
#include "harness/folder_lock.h"
#include "harness/host.h"
#include "harness/manifest.h"
#include "harness/pending.h"
#include "harness/protocol_gate.h"
#include "harness/quantize_stage.h"

namespace daq {
namespace {

class Runner {
 public:
  Runner(const Workload& work, const Share& share, const RunOptions& options,
         const std::filesystem::path& folder)
      : work_(work),
        share_(share),
        options_(options),
        folder_(folder),
        store_(folder),
        pool_(options.threads),
        pending_(FindPending(work, share, folder)) {
    const Forecast forecast =
        ForecastOf(work, share.stage, pending_, options.threads, options.memory_budget_bytes);
    // Refuses before the first hour what would not fit in the last.
    StatesFitInMemory({.fixed_bytes = forecast.fixed_bytes}, options.memory_budget_bytes);
    // Measuring takes a second: not where nobody looks at progress, or nothing is to be done.
    const MachineRates rates =
        options.quiet || pending_.empty() ? MachineRates{} : KeptRates(RatesFile(), &pool_);
    progress_ = std::make_unique<Progress>(rates.Seconds(forecast.work), options.quiet);
    stage_ = {.pool = &pool_,
              .progress = progress_.get(),
              .rates = rates,
              .work_folder = folder / "work",
              .save_interval = options.save_interval,
              .memory_budget_bytes = options.memory_budget_bytes};
    evaluator_.emplace(work_, stage_, pending_, folder);
    host_ = DescribeHost(options.threads);
  }

  RunOutcome Run() {
    const std::size_t there = share_.cells.size() - pending_.size();
    // Pending cells in order: full precision comes first, and a quantise pass serves all arms that
    // share it.
    while (!pending_.empty()) {
      const Arm& arm = ArmOf(pending_.begin()->first);
      if (IsDoneElsewhere(arm)) continue;
      if (!arm.recipe.full_precision) PassGate(arm.model);
      if (IsQuantizedHere(arm)) Quantize(arm);
      if (share_.stage == RunStage::kQuantize)
        Take(PendingOf(arm), &quantized_cells_);
      else if (IsReady(arm))
        EvaluateArm(arm);
      else
        Take(PendingOf(arm), &waiting_);
    }
    RemoveLeftovers();
    if (share_.stage == RunStage::kFullPrecision) CompareFullPrecision();
    progress_->Note(share_.stage == RunStage::kJoin
                        ? fmt::format("{} joined", Cells(computed_))
                        : fmt::format("{}, {} already there", Summary(), there));
    if (waiting_ > 0) {
      progress_->Problem(
          fmt::format("{} not evaluated: the models are not quantised yet (--stage quantize)",
                      Cells(waiting_)));
      if (outcome_ == RunOutcome::kDone) outcome_ = RunOutcome::kCellFailed;
    }
    return outcome_;
  }

 private:
  const Arm& ArmOf(std::size_t cell) const { return work_.arms[work_.cells[cell].arm]; }
  const Checkpoint& CheckpointOf(const Arm& arm) const {
    return work_.models[arm.model]->checkpoint;
  }
  QuantizedStore StoreOf(const Arm& arm) const {
    return QuantizedStore(stage_.work_folder / arm.id);
  }

  // Before hours are spent on a model's quantised arms: is full precision what papers say it is?
  // Throws InputError if not, or if nobody knows yet.
  void PassGate(std::size_t model) {
    if (!options_.gate || !passed_gates_.insert(model).second) return;
    for (const std::size_t cell : GateCells(work_, model)) JoinPartsOf(cell);
    const std::vector<std::size_t> open = OpenGateCells(work_, model, store_);
    if (open.empty()) return;
    throw InputError(
        {work_.models[model]->name},
        fmt::format("full precision on {} is to be compared with its published perplexity before "
                    "quantised models are worked on, and is not evaluated: run with --stage "
                    "full_precision first, or go on without by --no-gate",
                    EvaluationName(open.front())));
  }

  // Throws InputError if full precision of a model, as far as it is evaluated, is not what papers
  // say it is.
  void CompareFullPrecision() const {
    for (std::size_t model = 0; options_.gate && model < work_.models.size(); ++model)
      OpenGateCells(work_, model, store_);
  }

  // Two shards that ended at the same moment may each have left it to the other to write a cell.
  void JoinPartsOf(std::size_t cell) {
    const std::string& id = work_.cells[cell].id;
    const WindowRange all{.first = 0, .count = work_.WindowsOf(work_.cells[cell]).count()};
    try {
      if (store_.IsDone(id) || !MissingWindows(CellParts(folder_).Read(id), all).empty()) return;
      pending_[cell] = {};
      Evaluate(cell);
    } catch (const InputError&) {
      if (!store_.IsDone(id)) throw;  // else another has joined and removed them meanwhile
    }
  }

  // Whether this run quantises the arm, and has not yet.
  bool IsQuantizedHere(const Arm& arm) const {
    return Quantizes(share_.stage) && !arm.recipe.full_precision && !quantized_.contains(arm.id);
  }

  // Whether the arm's weights are there to be evaluated.
  bool IsReady(const Arm& arm) const {
    if (share_.stage != RunStage::kEvaluate || arm.recipe.full_precision) return true;
    return StoreOf(arm).HasAllBlocks(CheckpointOf(arm).config().num_layers);
  }

  // Takes cells off the list and counts them.
  void Take(const std::vector<std::size_t>& cells, std::size_t* count) {
    for (const std::size_t cell : cells) *count += pending_.erase(cell);
  }

  std::string Summary() const {
    if (share_.stage == RunStage::kQuantize)
      return fmt::format("models of {} quantised{}", Cells(quantized_cells_), FailedCells());
    std::string text = fmt::format("{} computed{}", Cells(computed_), FailedCells());
    if (partial_ > 0) text += fmt::format(", {} in part", partial_);
    return text;
  }
  std::string FailedCells() const {
    return failed_ == 0 ? "" : fmt::format(", {} failed", failed_);
  }

  // One pass for every pending arm that can share it with `first`.
  void Quantize(const Arm& first) {
    std::vector<const Arm*> candidates = {&first};
    for (const Arm* arm : ArmsToQuantize(work_, share_.stage, pending_)) {
      if (!quantized_.contains(arm->id)) AddQuantizedArm(*arm, &candidates);
    }
    const ArmFamily family = FamilyOf(work_, candidates);
    for (const Arm* arm : family.arms) quantized_.insert(arm->id);
    std::vector<QuantizeJob> jobs = JobsOf(work_, family, stage_.work_folder);
    try {
      const Checkpoint& checkpoint = CheckpointOf(first);
      QuantizeModel(checkpoint, family.texts, {.end = checkpoint.config().num_layers}, &jobs,
                    stage_);
    } catch (const InputError& error) {
      FailInput(first, error);
      return;
    }
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (!jobs[i].error.empty()) FailArm(*family.arms[i], jobs[i].error);
    }
  }

  // A wrong checkpoint or text: nothing of this model can be computed.
  void FailInput(const Arm& arm, const InputError& error) {
    if (IsDoneElsewhere(arm)) return;
    outcome_ = RunOutcome::kBadInput;
    for (const Arm& other : work_.arms) {
      if (other.model == arm.model) FailArm(other, error.what());
    }
  }

  // Records every pending cell of the arm as failed. (They are collected first: recording takes
  // them off the list.)
  void FailArm(const Arm& arm, const std::string& message) {
    if (IsDoneElsewhere(arm)) return;
    if (outcome_ == RunOutcome::kDone) outcome_ = RunOutcome::kCellFailed;
    for (const std::size_t cell : PendingOf(arm)) Fail(cell, message);
  }

  std::vector<std::size_t> PendingOf(const Arm& arm) const {
    std::vector<std::size_t> cells;
    for (const auto& [cell, ranges] : pending_) {
      if (&ArmOf(cell) == &arm) cells.push_back(cell);
    }
    return cells;
  }

  // Another shard with the same work (a task that was believed dead, or one of a run that was cut
  // otherwise) may have finished cells, and removed what this one was about to read. Takes those of
  // the arm off the list; true if none are left.
  bool IsDoneElsewhere(const Arm& arm) {
    if (share_.whole) return false;
    const std::vector<std::size_t> cells = PendingOf(arm);
    if (cells.empty()) return false;
    return std::count_if(cells.begin(), cells.end(), [&](std::size_t cell) {
             return store_.IsDone(work_.cells[cell].id) && pending_.erase(cell) == 1;
           }) == static_cast<std::ptrdiff_t>(cells.size());
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
      } catch (const UnusableBlock& error) {
        StoreOf(arm).Discard(error.block());
        FailArm(arm, error.what());
      } catch (const InputError& error) {
        FailInput(arm, error);
      } catch (const Interrupted&) {
        throw;
      } catch (const std::exception& error) {
        if (IsDoneElsewhere(arm)) break;
        if (IsOfTheMachine(error)) throw;
        if (outcome_ == RunOutcome::kDone) outcome_ = RunOutcome::kCellFailed;
        Fail(cell, error.what());
      }
    }
    if (!IsNeeded(arm)) RemoveQuantized(arm);
  }

  void RemoveQuantized(const Arm& arm) const {
    if (!arm.recipe.full_precision && !options_.keep_quantized) StoreOf(arm).Remove();
  }

  // What served cells that are written: also what a run that was killed just then left behind.
  void RemoveLeftovers() {
    evaluator_->RemoveReferences();
    if (!share_.whole) return;
    std::set<const Arm*> unfinished;
    std::set<std::string> compared;
    for (std::size_t cell = 0; cell < work_.cells.size(); ++cell) {
      if (store_.IsDone(work_.cells[cell].id)) {
        evaluator_->RemoveParts(cell);
      } else {
        unfinished.insert(&ArmOf(cell));
        compared.insert(work_.cells[cell].reference);
      }
    }
    evaluator_->RemoveStates(compared);
    for (const Arm& arm : work_.arms) {
      if (!unfinished.contains(&arm)) RemoveQuantized(arm);
    }
  }

  // Whether this run or another may still evaluate the arm.
  bool IsNeeded(const Arm& arm) const {
    return std::any_of(work_.cells.begin(), work_.cells.end(), [&](const Cell& cell) {
      return &work_.arms[cell.arm] == &arm && !store_.IsDone(cell.id);
    });
  }

  void Evaluate(std::size_t cell) {
    const std::string title =
        fmt::format("[{}/{}] evaluate {} on {}", share_.cells.size() - pending_.size() + 1,
                    share_.cells.size(), ArmOf(cell).description, EvaluationName(cell));
    if (std::optional<CellPart> scored = evaluator_->Evaluate(cell, title)) {
      WriteCell(cell, std::move(*scored));
      evaluator_->RemoveParts(cell);
      ++computed_;
    } else {
      ++partial_;
    }
    pending_.erase(cell);
  }

  void WriteCell(std::size_t cell, CellPart scored) {
    const Arm& arm = ArmOf(cell);
    CellRecord record = NewRecord(cell);
    if (!arm.recipe.full_precision) AddLayers(StoreOf(arm), CheckpointOf(arm).config(), &record);
    AddScores(std::move(scored.scores), &record.evaluation);
    AddWindowsUsed(work_.evaluations[work_.cells[cell].evaluation], &record.evaluation);
    record.evaluate_seconds = scored.seconds;
    record.peak_rss_bytes = scored.peak_rss_bytes;
    store_.Write(record);
    const EvaluationResult& result = record.evaluation;
    const std::string windows =
        result.stop ? fmt::format(" on {} of {} windows", result.window_losses.size(),
                                  result.stop->windows_of_text)
                    : "";
    progress_->Note(
        fmt::format("{} on {}: perplexity {:.4f}{} ({})", arm.description, EvaluationName(cell),
                    Perplexity(result.window_losses, WindowWeights(result.window_tokens_scored)),
                    windows, FormatSeconds(record.evaluate_seconds)));
  }

  static void AddWindowsUsed(const EvaluationInput& evaluation, EvaluationResult* result) {
    if (!evaluation.request.stop_when) return;
    std::vector<Index> used = StopOrder(evaluation.windows.count());
    used.resize(result->window_losses.size());
    std::sort(used.begin(), used.end());
    result->stop = EvaluationStop{.rule = *evaluation.request.stop_when,
                                  .window_indices = std::move(used),
                                  .windows_of_text = evaluation.windows.count()};
  }

  static void AddScores(WindowScores scores, EvaluationResult* result) {
    result->window_losses = std::move(scores.losses);
    const std::vector<Index>& scored = scores.scored_tokens;
    result->tokens = std::accumulate(scored.begin(), scored.end(), Index{0});
    if (std::adjacent_find(scored.begin(), scored.end(), std::not_equal_to<>()) != scored.end())
      result->window_tokens_scored = scored;
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
    record.evaluation.tokens = evaluation.windows.scored_tokens();
    record.evaluation.text_size = evaluation.windows.text_size;
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

  const Workload& work_;
  const Share& share_;
  const RunOptions& options_;
  std::filesystem::path folder_;
  CellStore store_;
  ThreadPool pool_;
  PendingCells pending_;
  std::unique_ptr<Progress> progress_;
  Stage stage_;
  std::optional<CellEvaluator> evaluator_;
  nlohmann::ordered_json host_;
  std::set<std::string> quantized_;     // arms whose quantise pass has run
  std::set<std::size_t> passed_gates_;  // models
  std::size_t quantized_cells_ = 0;
  std::size_t computed_ = 0;
  std::size_t partial_ = 0;  // some windows computed, others left to other shards
  std::size_t waiting_ = 0;
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

std::vector<std::string> WarningsOf(const Workload& workload, const RunOptions& options) {
  std::vector<std::string> warnings = workload.warnings;
  const std::uint64_t memory = PhysicalMemoryBytes();
  if (options.memory_budget_bytes > memory) {
    warnings.push_back(fmt::format("memory_budget: {} is more than this machine has, {}",
                                   FormatBytes(static_cast<double>(options.memory_budget_bytes)),
                                   FormatBytes(static_cast<double>(memory))));
  }
  return warnings;
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
  const Share share = options.shard ? ShareOf(work, options.stage, *options.shard)
                                    : WholeShare(work, options.stage);
  const FolderLock lock(folder, share.whole ? FolderLock::Kind::kAlone : FolderLock::Kind::kShared);
  if (share.whole) RemoveTemporaryFiles(folder);
  WriteManifest(MakeManifest(experiment, work), folder);
  for (const std::string& warning : WarningsOf(work, options))
    fmt::print(stderr, "warning: {}\n", warning);
  return Runner(work, share, options, folder).Run();
}

}  // namespace daq
