#include "harness/plan.h"

#include <fmt/format.h>

#include "harness/cell_store.h"
#include "harness/machine_rates.h"
#include "harness/pending.h"
#include "harness/progress.h"
#include "harness/protocol_gate.h"
#include "harness/text_table.h"

namespace daq {
namespace {

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
  const PendingCells pending = FindPending(work, WholeShare(work, RunStage::kAll), folder);
  const Forecast left =
      ForecastOf(work, RunStage::kAll, pending, options.threads, options.memory_budget_bytes);
  ThreadPool pool(options.threads);
  const MachineRates rates = KeptRates(RatesFile(), &pool);
  text.append(fmt::format("left to do  {} of {} cells\n", pending.size(), work.cells.size()));
  text.append(fmt::format(
      "operations  {:.3g} TFLOP of products, {} of one core of searches, {} in memory\n",
      left.work.products / 1e12, FormatSeconds(left.work.core_seconds),
      FormatBytes(left.work.bytes)));
  text.append(fmt::format("time        about {} with {} threads, {:.0f} GFLOP/s\n",
                          FormatSeconds(rates.Seconds(left.work)), options.threads,
                          rates.products / 1e9));
  text.append(fmt::format("memory      {} at most, of a budget of {}\n",
                          FormatBytes(static_cast<double>(left.memory_bytes)),
                          FormatBytes(static_cast<double>(options.memory_budget_bytes))));
  text.append(
      fmt::format("disk        {} for quantised models{}, {} for scratch and saved states\n",
                  FormatBytes(static_cast<double>(left.packed_bytes)),
                  options.keep_quantized ? "" : " (removed when evaluated)",
                  FormatBytes(static_cast<double>(left.scratch_bytes))));
  text.append(fmt::format("gate        {}\n", DescribeGate(work)));
  text.append(fmt::format("results     {}\n", folder.string()));
  return text;
}

}  // namespace daq
