#include "harness/pending.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <string>

#include "eval/hidden_states.h"
#include "harness/arm_family.h"
#include "harness/cell_parts.h"
#include "harness/cell_store.h"
#include "harness/quantized_store.h"

namespace daq {
namespace {

bool IsQuantized(const Workload& work, const Arm& arm, const std::filesystem::path& folder) {
  return QuantizedStore(folder / "work" / arm.id)
      .HasAllBlocks(work.models[arm.model]->checkpoint.config().num_layers);
}

Index CountOf(const std::vector<WindowRange>& ranges) {
  return std::accumulate(ranges.begin(), ranges.end(), Index{0},
                         [](Index sum, const WindowRange& range) { return sum + range.count; });
}

std::vector<WindowRange> InSteps(const std::vector<WindowRange>& ranges) {
  std::vector<WindowRange> all;
  for (const WindowRange& range : ranges) {
    const std::vector<WindowRange> steps = StopSteps(range);
    all.insert(all.end(), steps.begin(), steps.end());
  }
  return all;
}

// Adds up what evaluating cells needs.
class EvaluationForecast {
 public:
  EvaluationForecast(const Workload& work, int threads, std::uint64_t memory_budget_bytes)
      : work_(work), threads_(threads), budget_(memory_budget_bytes) {}

  void Add(const Cell& cell, Index windows, Forecast* forecast) {
    const ModelConfig& config = work_.CheckpointOf(cell).config();
    const Index tokens = work_.WindowsOf(cell).window_tokens;
    forecast->work += EvaluationWork(config, windows, tokens, cell.compared());
    AddMemory(EvaluationMemory(config, windows, tokens, threads_, cell.compared()), forecast);
    evaluated_.insert(cell.id);
    if (cell.compared()) references_.emplace(cell.reference, Reference{&cell, windows});
  }

  void AddReferences(Forecast* forecast) const {
    for (const auto& [id, reference] : references_) {
      const ModelConfig& config = work_.CheckpointOf(*reference.cell).config();
      const Index tokens = work_.WindowsOf(*reference.cell).window_tokens;
      forecast->scratch_bytes += HiddenStates::Bytes(reference.windows, tokens, config.hidden_size);
      if (!evaluated_.contains(id))
        forecast->work += BlocksWork(config, config.num_layers, reference.windows, tokens);
    }
  }

  void AddMemory(const MemoryEstimate& memory, Forecast* forecast) const {
    const bool fits = memory.fixed_bytes + memory.states_bytes <= budget_;
    forecast->fixed_bytes = std::max(forecast->fixed_bytes, memory.fixed_bytes);
    forecast->memory_bytes =
        std::max(forecast->memory_bytes, memory.fixed_bytes + (fits ? memory.states_bytes : 0));
    forecast->scratch_bytes =
        std::max(forecast->scratch_bytes, memory.states_bytes * (fits ? 1 : 2));
  }

 private:
  struct Reference {
    const Cell* cell;  // one that is compared with it
    Index windows;
  };

  const Workload& work_;
  int threads_;
  std::uint64_t budget_;
  std::set<std::string> evaluated_;
  std::map<std::string, Reference> references_;
};

}  // namespace

PendingCells FindPending(const Workload& work, const Share& share,
                         const std::filesystem::path& folder) {
  const CellStore store(folder);
  const CellParts parts(folder);
  PendingCells pending;
  for (const auto& [index, range] : share.cells) {
    const Cell& cell = work.cells[index];
    if (store.IsDone(cell.id)) continue;
    if (share.stage == RunStage::kQuantize) {
      if (!IsQuantized(work, work.arms[cell.arm], folder))
        pending.emplace(index, std::vector<WindowRange>{range});
      continue;
    }
    const std::vector<CellPart> there = parts.Read(cell.id);
    std::vector<WindowRange> missing = MissingWindows(there, range);
    const WindowRange all{.first = 0, .count = work.WindowsOf(cell).count()};
    if (share.stage == RunStage::kJoin && !missing.empty()) continue;
    if (!missing.empty() || MissingWindows(there, all).empty())
      pending.emplace(index, cell.stops_against.empty() ? std::move(missing) : InSteps(missing));
  }
  return pending;
}

std::vector<const Arm*> ArmsToQuantize(const Workload& work, RunStage stage,
                                       const PendingCells& pending) {
  std::vector<const Arm*> arms;
  if (!Quantizes(stage)) return arms;
  for (const auto& [cell, ranges] : pending)
    AddQuantizedArm(work.arms[work.cells[cell].arm], &arms);
  return arms;
}

Forecast ForecastOf(const Workload& work, RunStage stage, const PendingCells& pending, int threads,
                    std::uint64_t memory_budget_bytes) {
  Forecast forecast;
  EvaluationForecast evaluation(work, threads, memory_budget_bytes);
  if (Evaluates(stage)) {
    for (const auto& [cell, ranges] : pending)
      evaluation.Add(work.cells[cell], CountOf(ranges), &forecast);
  }
  const std::vector<const Arm*> arms = ArmsToQuantize(work, stage, pending);
  const std::vector<ArmFamily> families = FamiliesOf(work, arms);
  for (const ArmFamily& family : families)
    evaluation.AddMemory(QuantizeMemoryOf(work, family, threads), &forecast);
  forecast.work += QuantizeWorkOf(work, families);
  for (const Arm* arm : arms)
    forecast.packed_bytes +=
        QuantizedBytes(work.models[arm->model]->checkpoint.config(), arm->recipe.format);
  evaluation.AddReferences(&forecast);
  return forecast;
}

}  // namespace daq
