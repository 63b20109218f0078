#pragma once
#include <span>
#include <string>
#include <vector>

namespace daq {

// Where one recipe puts its codes.
struct CodePositions {
  std::string label;
  std::vector<double> values;  // in weight units, finite: (code value - zero_point) * scale
};

// What `daq-bench inspect` draws: how weights are distributed and where recipes have codes for
// them.
struct DensityPlot {
  std::string title;
  std::span<const float> weights;  // at least one, finite: a group, a row or a layer
  std::vector<CodePositions> recipes;
};

// The plot as one self-contained SVG document: a histogram of the weights, below it a strip for
// each recipe with a tick at each code, all over one axis. Readable on light and dark screens
// (prefers-color-scheme); no scripts, no fonts of its own. A bin that holds any weight is drawn at
// least three pixels high, so that outliers show. Characters that XML cannot hold become U+FFFD.
std::string DrawDensityPlot(const DensityPlot& plot);

}  // namespace daq
