#include "harness/cell_work.h"

#include <map>
#include <set>
#include <string>

#include "eval/hidden_states.h"
#include "harness/estimate.h"

namespace daq {
namespace {

struct Pass {
  const ModelConfig& config;
  const TokenWindows& windows;
};

Pass PassOf(const Workload& work, const Cell& cell) {
  return {work.models[work.arms[cell.arm].model]->checkpoint.config(),
          work.evaluations[cell.evaluation].windows};
}

// A cell that is compared with it, for each pass of full precision that is needed so.
std::map<std::string, const Cell*> References(const std::vector<const Cell*>& cells) {
  std::map<std::string, const Cell*> references;
  for (const Cell* cell : cells) {
    if (cell->compared()) references.emplace(cell->reference, cell);
  }
  return references;
}

}  // namespace

Work EvaluationWorkOf(const Workload& work, const std::vector<const Cell*>& cells) {
  Work sum;
  std::set<std::string> run;
  for (const Cell* cell : cells) {
    const auto [config, windows] = PassOf(work, *cell);
    sum += EvaluationWork(config, windows.count(), windows.window_tokens, cell->compared());
    run.insert(cell->id);
  }
  for (const auto& [reference, cell] : References(cells)) {
    if (run.contains(reference)) continue;
    const auto [config, windows] = PassOf(work, *cell);
    sum += BlocksWork(config, config.num_layers, windows.count(), windows.window_tokens);
  }
  return sum;
}

std::uint64_t ReferenceBytes(const Workload& work, const std::vector<const Cell*>& cells) {
  std::uint64_t bytes = 0;
  for (const auto& [reference, cell] : References(cells)) {
    const auto [config, windows] = PassOf(work, *cell);
    bytes += HiddenStates::Bytes(windows.count(), windows.window_tokens, config.hidden_size);
  }
  return bytes;
}

}  // namespace daq
