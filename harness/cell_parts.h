#pragma once
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/window_scores.h"
#include "harness/window_range.h"

namespace daq {

// The scores of some of a cell's windows.
struct CellPart {
  WindowRange range;
  WindowScores scores;
  double seconds = 0;  // of evaluating them
  std::uint64_t peak_rss_bytes = 0;
};

// Parts of cells that several runs evaluate together, until each cell is whole: a file each,
// <folder>/parts/<cell>/<first>-<end>.part (CBOR), written atomically. A window's scores do not
// depend on the part that it is in, so parts of any cutting join to the same numbers.
class CellParts {
 public:
  explicit CellParts(const std::filesystem::path& folder) : folder_(folder / "parts") {}

  void Write(const std::string& cell, const CellPart& part) const;

  // In the order of their first windows. Throws InputError for a damaged file.
  std::vector<CellPart> Read(const std::string& cell) const;

  void Remove(const std::string& cell) const;

 private:
  std::filesystem::path folder_;
};

// What of `wanted` no part covers, in order.
std::vector<WindowRange> MissingWindows(const std::vector<CellPart>& parts, WindowRange wanted);

// The given windows as one part, in the order in which they are given, or nothing while some are
// missing.
std::optional<CellPart> JoinParts(const std::vector<CellPart>& parts,
                                  std::span<const Index> windows);

// The first `windows` windows likewise.
std::optional<CellPart> JoinParts(const std::vector<CellPart>& parts, Index windows);

}  // namespace daq
