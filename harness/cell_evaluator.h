#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "harness/cell_parts.h"
#include "harness/cell_store.h"
#include "harness/evaluate_stage.h"
#include "harness/pending.h"
#include "harness/quantized_store.h"
#include "harness/stage.h"
#include "harness/workload.h"

namespace daq {

// Evaluates the cells of a run, in the pieces in which their windows are missing.
class CellEvaluator {
 public:
  // What is left to do is asked of `pending` at each cell, for full precision's states are kept
  // while a cell needs them. All must outlive this. `folder` is the experiment's.
  CellEvaluator(const Workload& work, const Stage& stage, const PendingCells& pending,
                const std::filesystem::path& folder)
      : work_(work), stage_(stage), pending_(pending), store_(folder), parts_(folder) {}

  // The scores of a pending cell's windows, in the order of the text: of all, or of as many as are
  // enough by the evaluation's stop_when. Nothing where other shards have not done theirs; then
  // what was computed is kept as parts, for whoever comes last. `title` names the cell in the
  // progress.
  std::optional<CellPart> Evaluate(std::size_t cell, const std::string& title);

  // Removes the parts of a cell that is written.
  void RemoveParts(std::size_t cell) const { parts_.Remove(work_.cells[cell].id); }

  // Removes the states of full precision that this run kept for comparisons.
  void RemoveReferences() const;

  // Removes the states of finished cells, saved or kept, but for those of the cells `compared`,
  // which unfinished ones are compared with: also those of runs that were killed just before they
  // did. Only for a run that has the folder alone.
  void RemoveStates(const std::set<std::string>& compared) const;

 private:
  bool MayStop(std::size_t cell) const;
  std::optional<CellPart> EvaluateUntilEnough(std::size_t cell,
                                              const std::vector<WindowRange>& missing,
                                              const std::string& title);
  std::optional<Index> EnoughWindows(std::size_t cell, const std::vector<CellPart>& parts,
                                     Index windows, const std::string& title);
  std::span<const double> FullPrecisionLosses(std::size_t cell, Index windows,
                                              const std::string& title);
  std::vector<double> FullPrecisionLossesThere(std::size_t cell) const;
  std::vector<Index> InTextOrder(std::size_t cell, Index windows) const;
  CellPart EvaluateRange(std::size_t cell, const WindowRange& range, const std::string& title);
  BlockSource BlocksOf(std::size_t cell) const;
  bool IsReferenceNeeded(std::size_t cell, const WindowRange& range) const;

  const Workload& work_;
  const Stage& stage_;
  const PendingCells& pending_;
  CellStore store_;
  CellParts parts_;
  std::set<std::string> references_;  // full-precision passes whose states were kept
  // By full precision's cell: the losses of its first windows, as far as they were needed.
  std::map<std::string, std::vector<double>> full_precision_losses_;
};

}  // namespace daq
