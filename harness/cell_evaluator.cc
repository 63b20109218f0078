#include "harness/cell_evaluator.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <stdexcept>

#include "base/error.h"
#include "harness/estimate.h"
#include "harness/host.h"
#include "harness/stop_rule.h"

namespace daq {
namespace {

// Of a pass over some of a cell's windows: the cell's own name where they are all.
std::string SuffixOf(const WindowRange& range, Index windows) {
  return range.count == windows ? "" : fmt::format(".{}-{}", range.first, range.end());
}

// How many windows from the first on the parts have, without a gap.
Index WindowsThere(const std::vector<CellPart>& parts, Index windows) {
  const std::vector<WindowRange> missing = MissingWindows(parts, {.first = 0, .count = windows});
  return missing.empty() ? windows : missing.front().first;
}

}  // namespace

// Full precision is what others are compared with, on any of the windows.
bool CellEvaluator::MayStop(std::size_t cell) const {
  const Cell& own = work_.cells[cell];
  return !own.stops_against.empty() && own.stops_against != own.id;
}

std::optional<CellPart> CellEvaluator::Evaluate(std::size_t cell, const std::string& title) {
  const std::string& id = work_.cells[cell].id;
  const Index windows = work_.WindowsOf(work_.cells[cell]).count();
  const std::vector<WindowRange> missing = pending_.at(cell);
  if (MayStop(cell)) return EvaluateUntilEnough(cell, missing, title);
  const std::vector<WindowRange> all = {{.first = 0, .count = windows}};
  if (missing == all && work_.cells[cell].stops_against.empty())
    return EvaluateRange(cell, all.front(), title);
  for (const WindowRange& range : missing) parts_.Write(id, EvaluateRange(cell, range, title));
  return JoinParts(parts_.Read(id), InTextOrder(cell, windows));
}

// Step by step, looking before each whether those that are there are enough. What a run that was
// killed left is looked at likewise, so this one stops where that would have. Another shard with
// the same work may finish the cell meanwhile: then nothing is left to do.
std::optional<CellPart> CellEvaluator::EvaluateUntilEnough(std::size_t cell,
                                                           const std::vector<WindowRange>& missing,
                                                           const std::string& title) {
  const Cell& own = work_.cells[cell];
  const TokenWindows& windows = work_.WindowsOf(own);
  std::vector<CellPart> parts = parts_.Read(own.id);
  std::optional<Index> enough;
  for (const WindowRange& step : missing) {
    if (store_.IsDone(own.id)) return std::nullopt;
    if (!enough) enough = EnoughWindows(cell, parts, step.first, title);
    if (!enough) {
      parts.push_back(EvaluateRange(cell, step, title));
      parts_.Write(own.id, parts.back());
    } else {
      stage_.Skip(EvaluationWork(work_.CheckpointOf(own).config(), step.count,
                                 windows.window_tokens, own.compared()));
    }
  }
  if (!enough) enough = EnoughWindows(cell, parts, windows.count(), title);
  if (!enough) return std::nullopt;
  return JoinParts(parts, InTextOrder(cell, *enough));
}

// How many windows are enough by the evaluation's rule, if the first `windows` tell; nothing too
// where the parts lack some of them.
std::optional<Index> CellEvaluator::EnoughWindows(std::size_t cell,
                                                  const std::vector<CellPart>& parts, Index windows,
                                                  const std::string& title) {
  const std::optional<CellPart> there = JoinParts(parts, windows);
  if (!there) return std::nullopt;
  const EvaluationInput& evaluation = work_.evaluations[work_.cells[cell].evaluation];
  return StopsAt(*evaluation.request.stop_when, evaluation.windows.count(), there->scores.losses,
                 FullPrecisionLosses(cell, windows, title),
                 WindowWeights(there->scores.scored_tokens));
}

// Of the first `windows` windows of a cell's evaluation, in its order. Where another shard has full
// precision's cell and is not done with it, the windows that are missing are computed here.
std::span<const double> CellEvaluator::FullPrecisionLosses(std::size_t cell, Index windows,
                                                           const std::string& title) {
  const std::string& id = work_.cells[cell].stops_against;
  std::vector<double>& losses = full_precision_losses_[id];
  const auto there = [&] { return static_cast<Index>(losses.size()); };
  if (there() < windows) losses = FullPrecisionLossesThere(cell);
  if (there() < windows) {
    const auto full_precision = std::find_if(work_.cells.begin(), work_.cells.end(),
                                             [&](const Cell& other) { return other.id == id; });
    DAQ_CHECK(full_precision != work_.cells.end(), "a config without it is refused");
    for (const WindowRange& step : StopSteps({.first = there(), .count = windows - there()})) {
      parts_.Write(id, EvaluateRange(static_cast<std::size_t>(full_precision - work_.cells.begin()),
                                     step, title + ", for full precision's losses,"));
    }
    losses = FullPrecisionLossesThere(cell);
    // Its own shard may have finished the cell before the last of them was written.
    if (store_.IsDone(id)) parts_.Remove(id);
    if (there() < windows)
      throw std::runtime_error("full precision's losses were removed while they were needed");
  }
  return std::span(losses).first(static_cast<std::size_t>(windows));
}

// What is there of full precision's losses from the first window on.
std::vector<double> CellEvaluator::FullPrecisionLossesThere(std::size_t cell) const {
  const std::string& id = work_.cells[cell].stops_against;
  const Index windows = work_.WindowsOf(work_.cells[cell]).count();
  if (!store_.IsDone(id)) {
    try {
      const std::vector<CellPart> parts = parts_.Read(id);
      return JoinParts(parts, WindowsThere(parts, windows))->scores.losses;
    } catch (const InputError&) {
      if (!store_.IsDone(id)) throw;  // else its own shard has just removed them
    }
  }
  const std::vector<double> of_text = WindowLossesOf(*store_.Read(id));
  std::vector<double> losses;
  for (const Index window : StopOrder(windows))
    losses.push_back(of_text[static_cast<std::size_t>(window)]);
  return losses;
}

// The first `windows` windows of an evaluation, in the order of the text.
std::vector<Index> CellEvaluator::InTextOrder(std::size_t cell, Index windows) const {
  std::vector<Index> first(static_cast<std::size_t>(windows));
  std::iota(first.begin(), first.end(), Index{0});
  if (work_.cells[cell].stops_against.empty()) return first;
  const std::vector<Index> order = StopOrder(work_.WindowsOf(work_.cells[cell]).count());
  std::sort(first.begin(), first.end(), [&](Index a, Index b) {
    return order[static_cast<std::size_t>(a)] < order[static_cast<std::size_t>(b)];
  });
  return first;
}

CellPart CellEvaluator::EvaluateRange(std::size_t cell, const WindowRange& range,
                                      const std::string& title) {
  const Cell& own = work_.cells[cell];
  const TokenWindows& windows = work_.WindowsOf(work_.cells[cell]);
  const std::string suffix = SuffixOf(range, windows.count());
  stage_.progress->Start(suffix.empty()
                             ? title
                             : fmt::format("{} windows {} to {} of {}", title, range.first + 1,
                                           range.end(), windows.count()));
  const auto started = std::chrono::steady_clock::now();
  const bool with_reference = IsReferenceNeeded(cell, range);
  const std::string reference = with_reference ? own.reference + suffix : "";
  if (with_reference) references_.insert(reference);
  CellPart part;
  part.range = range;
  part.scores = EvaluateWindows(work_.CheckpointOf(work_.cells[cell]),
                                suffix.empty() ? windows : windows.Part(range.first, range.count),
                                BlocksOf(cell), own.id + suffix, stage_, reference);
  part.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  part.peak_rss_bytes = PeakResidentBytes();
  return part;
}

BlockSource CellEvaluator::BlocksOf(std::size_t cell) const {
  const Arm& arm = work_.arms[work_.cells[cell].arm];
  const Checkpoint& checkpoint = work_.CheckpointOf(work_.cells[cell]);
  if (arm.recipe.full_precision) return FullPrecisionBlocks(checkpoint, stage_.pool);
  const QuantizedStore store(stage_.work_folder / arm.id);
  return [&checkpoint, store, this](Index block, BlockWeights* weights) {
    DequantizeBlock(store.ReadBlock(block, checkpoint.config()), checkpoint.config(), stage_.pool,
                    weights);
  };
}

// Full precision's states are kept only for cells that are still to be compared with them.
bool CellEvaluator::IsReferenceNeeded(std::size_t cell, const WindowRange& range) const {
  const Cell& own = work_.cells[cell];
  return std::any_of(pending_.begin(), pending_.end(), [&](const auto& other) {
    const auto& [other_cell, ranges] = other;
    return work_.cells[other_cell].compared() &&
           work_.cells[other_cell].reference == own.reference &&
           std::find(ranges.begin(), ranges.end(), range) != ranges.end();
  });
}

void CellEvaluator::RemoveReferences() const {
  for (const std::string& reference : references_) RemoveReference(reference, stage_);
}

void CellEvaluator::RemoveStates(const std::set<std::string>& compared) const {
  if (!std::filesystem::exists(stage_.work_folder)) return;
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(stage_.work_folder)) {
    // A pass is named by its cell and, where it is over a part of its windows, by which.
    const std::string name = entry.path().filename();
    const std::string cell = name.substr(0, name.find('.'));
    if (entry.is_regular_file() && !compared.contains(cell) && store_.IsDone(cell))
      found.push_back(entry.path());
  }
  for (const std::filesystem::path& file : found) std::filesystem::remove(file);
}

}  // namespace daq
