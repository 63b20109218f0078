#include "harness/plan.h"

#include <fmt/format.h>

#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
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

// What is pending, and what it needs.
struct Left {
  PendingCells pending = {};
  Forecast forecast = {};
};

// What is wrong beside the inputs: a budget that is too small, full precision that is not what is
// published.
std::vector<std::string> Refusals(const Workload& work, const Left& left, const CellStore& store,
                                  const RunOptions& options) {
  std::vector<std::string> refusals;
  const auto attempt = [&](const auto& step) {
    try {
      step();
    } catch (const InputError& error) {
      refusals.emplace_back(error.what());
    }
  };
  attempt([&] {
    StatesFitInMemory({.fixed_bytes = left.forecast.fixed_bytes}, options.memory_budget_bytes);
  });
  std::set<std::size_t> quantized;  // models
  for (const Arm* arm : ArmsToQuantize(work, RunStage::kAll, left.pending))
    quantized.insert(arm->model);
  for (const std::size_t model : quantized) attempt([&] { OpenGateCells(work, model, store); });
  return refusals;
}

std::string DescribeWork(const Left& left, const RunOptions& options) {
  ThreadPool pool(options.threads);
  const MachineRates rates = KeptRates(RatesFile(), &pool);
  const Forecast& forecast = left.forecast;
  std::string text = fmt::format(
      "operations  {:.3g} TFLOP of products, {} of one core of searches, {} of memory traffic\n",
      forecast.work.products / 1e12, FormatSeconds(forecast.work.core_seconds),
      FormatBytes(forecast.work.bytes));
  text.append(fmt::format("time        about {} with {} threads, {:.0f} GFLOP/s\n",
                          FormatSeconds(rates.Seconds(forecast.work)), options.threads,
                          rates.products / 1e9));
  text.append(fmt::format(
      "rates       measured on {} with {} threads{}; to measure anew delete {}\n", rates.date,
      rates.threads, rates.threads < options.threads ? ", one a processor" : "",
      RatesFile().string()));
  text.append(fmt::format("memory      {} at most, of a budget of {}\n",
                          FormatBytes(static_cast<double>(forecast.memory_bytes)),
                          FormatBytes(static_cast<double>(options.memory_budget_bytes))));
  text.append(
      fmt::format("disk        {} for quantised models{}, {} for scratch and saved states\n",
                  FormatBytes(static_cast<double>(forecast.packed_bytes)),
                  options.keep_quantized ? "" : " (removed when evaluated)",
                  FormatBytes(static_cast<double>(forecast.scratch_bytes))));
  return text;
}

}  // namespace

Plan PlanExperiment(const ExperimentFile& experiment, const RunOptions& options) {
  const std::filesystem::path folder = ExperimentFolder(experiment, options.results);
  const Workload work =
      ResolveWorkload(experiment, {.data = options.data, .results = options.results});
  const CellStore store(folder);
  Left left{.pending = FindPending(work, WholeShare(work, RunStage::kAll), folder)};
  left.forecast =
      ForecastOf(work, RunStage::kAll, left.pending, options.threads, options.memory_budget_bytes);
  std::vector<std::string> problems = work.problems;
  for (std::string& refusal : Refusals(work, left, store, options))
    problems.push_back(std::move(refusal));
  Plan plan{.text = fmt::format("# {}: {}\n\n", experiment.path.string(),
                                work.problems.empty()
                                    ? fmt::format("{} cells", work.cells.size())
                                    : fmt::format("inputs are there for {} of {} cells",
                                                  work.cells.size(), CellsAskedFor(experiment))),
            .runs = problems.empty()};
  std::string& text = plan.text;
  if (!work.cells.empty()) text.append(CellTable(work, store)).append("\n");
  for (const std::string& warning : WarningsOf(work, options))
    text.append(fmt::format("warning: {}\n", warning));
  if (!problems.empty()) {
    text.append("Missing or wrong inputs, without which a run does not start:\n");
    for (const std::string& problem : problems) text.append(fmt::format("- {}\n", problem));
    if (work.cells.empty()) return plan;
    text.append("\nOf the cells above:\n");
  }
  text.append(fmt::format("left to do  {} of {} cells\n", left.pending.size(), work.cells.size()));
  text.append(DescribeWork(left, options));
  text.append(fmt::format("gate        {}\n", DescribeGate(work)));
  text.append(fmt::format("results     {}\n", folder.string()));
  return plan;
}

}  // namespace daq
