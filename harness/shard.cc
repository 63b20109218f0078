#include "harness/shard.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "harness/arm_family.h"
#include "harness/estimate.h"
#include "harness/machine_rates.h"

namespace daq {
namespace {

// Shares must not depend on the machine that works them out: about one core of a server.
constexpr MachineRates kNominalRates = {.products = 1e11, .core_seconds = 1, .bytes = 1e10};

double EvaluationSeconds(const Workload& work, const Cell& cell) {
  const TokenWindows& windows = work.WindowsOf(cell);
  return kNominalRates.Seconds(EvaluationWork(work.CheckpointOf(cell).config(), windows.count(),
                                              windows.window_tokens, cell.compared()));
}

double QuantizeSeconds(const Workload& work, const Arm& arm) {
  if (arm.recipe.full_precision) return 0;
  return kNominalRates.Seconds(QuantizeWorkOf(work, FamiliesOf(work, {&arm})));
}

// Things in a row, each of so many pieces of one weight, cut into parts of about equal weight.
class Line {
 public:
  struct Thing {
    Index pieces;
    double piece_weight;
  };

  explicit Line(std::vector<Thing> things) : things_(std::move(things)) {
    for (const Thing& thing : things_) {
      starts_.push_back(total_);
      total_ += thing.piece_weight * static_cast<double>(thing.pieces);
    }
  }

  // The pieces of a thing whose middles lie in the shard's part of the line.
  WindowRange PiecesOf(std::size_t thing, const Shard& shard) const {
    const Index first = FirstPiece(thing, shard.index - 1, shard.count);
    return {.first = first, .count = FirstPiece(thing, shard.index, shard.count) - first};
  }

 private:
  // The first piece of the thing that lies behind so many of `parts` parts. One expression gives
  // the end of one part and the beginning of the next, so no rounding loses a piece.
  Index FirstPiece(std::size_t thing, Index parts_before, Index parts) const {
    const auto [pieces, weight] = things_[thing];
    if (parts_before == 0) return 0;
    if (parts_before == parts) return pieces;
    const double edge = total_ * static_cast<double>(parts_before) / static_cast<double>(parts);
    const double piece = std::ceil((edge - starts_[thing]) / weight - 0.5);
    return static_cast<Index>(std::clamp(piece, 0.0, static_cast<double>(pieces)));
  }

  std::vector<Thing> things_;
  std::vector<double> starts_;
  double total_ = 0;
};

WindowRange AllWindows(const Workload& work, const Cell& cell) {
  return {.first = 0, .count = work.WindowsOf(cell).count()};
}

// Whether a stage has work on the arm.
bool HasWorkOn(const Arm& arm, RunStage stage) {
  switch (stage) {
    case RunStage::kFullPrecision:
      return arm.recipe.full_precision;
    case RunStage::kQuantize:
      return !arm.recipe.full_precision;
    default:
      return true;
  }
}

// Whether shards may take some of a cell's windows each.
bool IsCut(const Cell& cell) { return cell.stops_against.empty(); }

Share ShareOfWindows(const Workload& work, RunStage stage, const Shard& shard) {
  std::vector<Line::Thing> things;
  things.reserve(work.cells.size());
  for (const Cell& cell : work.cells) {
    const Index pieces = IsCut(cell) ? AllWindows(work, cell).count : 1;
    things.push_back({HasWorkOn(work.arms[cell.arm], stage) ? pieces : 0,
                      EvaluationSeconds(work, cell) / static_cast<double>(pieces)});
  }
  const Line line(std::move(things));
  Share share{.stage = stage, .whole = false};
  for (std::size_t cell = 0; cell < work.cells.size(); ++cell) {
    const WindowRange range = line.PiecesOf(cell, shard);
    if (range.count == 0) continue;
    share.cells.emplace(cell, IsCut(work.cells[cell]) ? range : AllWindows(work, work.cells[cell]));
  }
  return share;
}

Share ShareOfArms(const Workload& work, RunStage stage, const Shard& shard) {
  std::vector<double> seconds;
  seconds.reserve(work.arms.size());
  for (const Arm& arm : work.arms) seconds.push_back(QuantizeSeconds(work, arm));
  if (stage == RunStage::kAll) {
    for (const Cell& cell : work.cells) seconds[cell.arm] += EvaluationSeconds(work, cell);
  }
  std::vector<Line::Thing> things;
  things.reserve(seconds.size());
  for (const double arm_seconds : seconds) {
    // An arm without work (full precision, when quantising) takes no place.
    things.push_back({arm_seconds > 0 ? 1 : 0, arm_seconds > 0 ? arm_seconds : 1});
  }
  const Line line(std::move(things));
  Share share{.stage = stage, .whole = false};
  for (std::size_t cell = 0; cell < work.cells.size(); ++cell) {
    if (line.PiecesOf(work.cells[cell].arm, shard).count > 0)
      share.cells.emplace(cell, AllWindows(work, work.cells[cell]));
  }
  return share;
}

}  // namespace

Shard ParseShard(std::string_view text) {
  Shard shard;
  const std::size_t slash = text.find('/');
  const auto read = [](std::string_view digits, Index* number) {
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), *number);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  if (slash == std::string_view::npos || !read(text.substr(0, slash), &shard.index) ||
      !read(text.substr(slash + 1), &shard.count) || shard.index < 1 || shard.count < shard.index) {
    throw InputError({}, "--shard", "I/N with 1 <= I <= N, such as 2/4",
                     fmt::format("\"{}\"", text));
  }
  return shard;
}

Share WholeShare(const Workload& work, RunStage stage) {
  Share share{.stage = stage};
  for (std::size_t cell = 0; cell < work.cells.size(); ++cell) {
    if (HasWorkOn(work.arms[work.cells[cell].arm], stage))
      share.cells.emplace(cell, AllWindows(work, work.cells[cell]));
  }
  return share;
}

Share ShareOf(const Workload& work, RunStage stage, const Shard& shard) {
  const bool of_windows = stage == RunStage::kFullPrecision || stage == RunStage::kEvaluate;
  return of_windows ? ShareOfWindows(work, stage, shard) : ShareOfArms(work, stage, shard);
}

}  // namespace daq
