#include "harness/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "harness/arm_family.h"
#include "harness/cell_store.h"
#include "harness/cell_work.h"
#include "harness/estimate.h"
#include "harness/machine_rates.h"
#include "harness/progress.h"
#include "harness/text_table.h"

namespace daq {
namespace {

// What is left to do, added up.
struct Remainder {
  std::vector<const Cell*> cells = {};
  std::vector<const Arm*> arms = {};  // to be quantised
  std::uint64_t memory_bytes = 0;     // of the pass that needs most
  std::uint64_t scratch_bytes =
      0;  // hidden states that do not fit the budget, and one saved copy of the largest pass
  std::uint64_t packed_bytes = 0;  // all quantised models of one pass

  void IncludeMemory(const MemoryEstimate& memory, const RunOptions& options) {
    const bool fits = memory.fixed_bytes + memory.states_bytes <= options.memory_budget_bytes;
    memory_bytes = std::max(memory_bytes, memory.fixed_bytes + (fits ? memory.states_bytes : 0));
    scratch_bytes = std::max(scratch_bytes, memory.states_bytes * (fits ? 1 : 2));
  }
};

void AddCell(const Workload& work, const Cell& cell, const RunOptions& options,
             Remainder* remainder) {
  const Arm& arm = work.arms[cell.arm];
  const ModelConfig& config = work.models[arm.model]->checkpoint.config();
  const TokenWindows& windows = work.evaluations[cell.evaluation].windows;
  remainder->cells.push_back(&cell);
  const MemoryEstimate memory = EvaluationMemory(config, windows.count(), windows.window_tokens,
                                                 options.threads, cell.compared());
  remainder->IncludeMemory(memory, options);
  if (!AddQuantizedArm(arm, &remainder->arms)) return;
  remainder->packed_bytes += QuantizedBytes(config, arm.recipe.format);
}

std::string CellTable(const Workload& work, const CellStore& store) {
  TextTable table;
  for (const char* title : {"model", "recipe", "evaluation"})
    table.AddColumn(title, TextTable::kLeft);
  table.AddColumn("windows", TextTable::kRight);
  table.AddColumn("tokens", TextTable::kRight);
  table.AddColumn("state", TextTable::kLeft);
  for (const Cell& cell : work.cells) {
    const Arm& arm = work.arms[cell.arm];
    const EvaluationInput& evaluation = work.evaluations[cell.evaluation];
    const std::optional<nlohmann::ordered_json> found = store.Read(cell.id);
    table.AddRow(
        {work.models[arm.model]->name, arm.description, work.columns[evaluation.column],
         fmt::format("{} x {}", evaluation.windows.count(), evaluation.windows.window_tokens),
         fmt::format("{}", evaluation.windows.count() * evaluation.windows.window_tokens),
         found ? found->value("status", "") : "to do"});
  }
  return table.ToMarkdown();
}

// Cells of the whole file as it stands; points of a sweep may turn out to share some.
std::size_t CellsAskedFor(const ExperimentFile& experiment) {
  std::size_t cells = 0;
  for (const Experiment& point : experiment.points)
    cells += point.recipes.size() * point.evaluations.size();
  return cells;
}

}  // namespace

std::string PlanExperiment(const ExperimentFile& experiment, const RunOptions& options) {
  const std::filesystem::path folder = ExperimentFolder(experiment, options.results);
  const Workload work =
      ResolveWorkload(experiment, {.data = options.data, .results = options.results});
  const CellStore store(folder);
  std::string text = fmt::format("# {}: {}\n\n", experiment.path.string(),
                                 work.problems.empty()
                                     ? fmt::format("{} cells", work.cells.size())
                                     : fmt::format("inputs are there for {} of {} cells",
                                                   work.cells.size(), CellsAskedFor(experiment)));
  if (!work.cells.empty()) text.append(CellTable(work, store)).append("\n");
  for (const std::string& warning : work.warnings)
    text.append(fmt::format("warning: {}\n", warning));
  if (!work.problems.empty()) {
    text.append("Missing or wrong inputs, without which a run does not start:\n");
    for (const std::string& problem : work.problems) text.append(fmt::format("- {}\n", problem));
    if (work.cells.empty()) return text;
    text.append("\nOf the cells above:\n");
  }
  Remainder left;
  for (const Cell& cell : work.cells) {
    if (!store.IsDone(cell.id)) AddCell(work, cell, options, &left);
  }
  const std::vector<ArmFamily> families = FamiliesOf(work, left.arms);
  for (const ArmFamily& family : families)
    left.IncludeMemory(QuantizeMemoryOf(work, family, options.threads), options);
  const Work left_work = EvaluationWorkOf(work, left.cells) + QuantizeWorkOf(work, families);
  const std::uint64_t scratch_bytes = left.scratch_bytes + ReferenceBytes(work, left.cells);
  ThreadPool pool(options.threads);
  const MachineRates rates = KeptRates(RatesFile(), &pool);
  text.append(fmt::format("left to do  {} of {} cells\n", left.cells.size(), work.cells.size()));
  text.append(fmt::format("operations  {:.3g} TFLOP of products, {} of one core of searches\n",
                          left_work.products / 1e12, FormatSeconds(left_work.core_seconds)));
  text.append(fmt::format("time        about {} with {} threads, {:.0f} GFLOP/s\n",
                          FormatSeconds(rates.Seconds(left_work)), options.threads,
                          rates.products / 1e9));
  text.append(fmt::format("memory      {} at most, of a budget of {}\n",
                          FormatBytes(static_cast<double>(left.memory_bytes)),
                          FormatBytes(static_cast<double>(options.memory_budget_bytes))));
  text.append(
      fmt::format("disk        {} for quantised models{}, {} for scratch and saved states\n",
                  FormatBytes(static_cast<double>(left.packed_bytes)),
                  options.keep_quantized ? "" : " (removed when evaluated)",
                  FormatBytes(static_cast<double>(scratch_bytes))));
  text.append(fmt::format("results     {}\n", folder.string()));
  return text;
}

}  // namespace daq
