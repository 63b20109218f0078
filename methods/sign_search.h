#pragma once
#include <vector>

#include "methods/output_loss.h"

namespace daq {

struct SignSearchOptions {
  double initial_step = 0.001;  // eps0 = alpha0
  double rate = 5;  // the wide probe begins at eps0 * rate, the narrow one at eps0 / rate
  Index epochs = 10;
  Index iterations = 100;  // of an epoch
  double shrink = 0.9;     // of the narrow probe, each odd iteration
  double grow = 1.1;       // of the wide probe, each even iteration
};

// A group's state between epochs.
struct SignSearchState {
  Index half_steps = 0;  // done so far; a step of z or of s is half an iteration
  Index last_move = 0;   // half-steps up to and including the last that moved
  Index scale_moves = 0;
  Index zero_point_moves = 0;
  bool high_zero_point_first = true;  // the side that won last is looked at first
  bool high_scale_first = true;
};

// A point reached in an epoch.
struct SignSearchMove {
  Index iteration;
  GridPoint point;
};

// DAQ's gradient-free search for a group's scale and zero-point (its stage 2, arXiv 2410.12187; the
// rule is in docs/daq.md), on an OutputLoss. The released rule to the letter, but for work that
// cannot change what it decides.
class SignSearch {
 public:
  // moves_zero_point: false for symmetric formats.
  SignSearch(const SignSearchOptions& options, bool moves_zero_point);

  Index epochs() const { return epochs_; }
  Index iterations() const { return static_cast<Index>(steps_.size()); }

  // All epochs, from loss->point() to the end.
  void Run(OutputLoss* loss, SignSearchState* state) const;

  // One epoch. `moves`, if not null, receives the point after every iteration that moved.
  void RunEpoch(OutputLoss* loss, SignSearchState* state, std::vector<SignSearchMove>* moves) const;

  // True if nothing can move any more: every epoch tries the same steps, so a whole round of them
  // that moved nothing repeats itself.
  bool IsSettled(const SignSearchState& state) const;

 private:
  bool StepZeroPoint(double step, OutputLoss* loss, SignSearchState* state) const;
  bool StepScale(double step, OutputLoss* loss, SignSearchState* state) const;

  Index epochs_;
  bool moves_zero_point_;
  std::vector<double> steps_;  // of an epoch's iterations
};

}  // namespace daq
