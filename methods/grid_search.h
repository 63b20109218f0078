#pragma once
#include <span>
#include <vector>

#include "methods/format.h"
#include "methods/output_loss.h"

namespace daq {

struct GridSearchOptions {
  Index scales = 40;          // of the grid; 0: no grid
  Index zero_points = 25;     // of the grid, asymmetric formats
  double lowest_scale = 0.3;  // in units of the min-max scale
  double highest_scale = 1.1;
  double center_span =
      0.25;  // the grid's centres: the weights' dense one +- this half of their range
  Index local_steps = 1000;
};

// Looks for a better scale and zero-point of a group: over a grid around the min-max range, then by
// random steps of many sizes from the best. Deterministic: every group takes the same steps.
class GridSearch {
 public:
  GridSearch(const GridSearchOptions& options, const Format& format);

  // Moves `loss`, prepared for `weights` and with a current point, to the best point found. Its
  // loss does not rise.
  void Improve(std::span<const float> weights, OutputLoss* loss) const;

 private:
  // A step's direction and size: relative for the scale, in half ranges of the code book for the
  // zero-point.
  struct Step {
    double scale;
    double zero_point;
  };

  void TryGrid(std::span<const float> weights, OutputLoss* loss) const;
  void TrySteps(OutputLoss* loss) const;

  GridSearchOptions options_;
  Format format_;
  std::vector<Step> steps_;
};

}  // namespace daq
