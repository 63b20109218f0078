#include "methods/sign_search.h"

#include <algorithm>

namespace daq {
namespace {

// Moves to the better of two sides if it is better than the current point. No move where they are
// equal: the release multiplies its step by the sign of their difference. Returns true for a move.
bool MoveToBetter(const GridPoint& low, const GridPoint& high, OutputLoss* loss, bool* high_first) {
  const GridPoint& first = *high_first ? high : low;
  const GridPoint& second = *high_first ? low : high;
  // A loss beyond the bound is not known exactly, but it loses: the first against the current
  // point, the second against either.
  const double first_loss = loss->At(first, loss->loss());
  const double second_loss = loss->At(second, std::min(first_loss, loss->loss()));
  if (!(std::min(first_loss, second_loss) < loss->loss()) || first_loss == second_loss)
    return false;
  const bool first_wins = first_loss < second_loss;
  if (!first_wins) *high_first = !*high_first;
  loss->MoveTo(first_wins ? GridPoint(first) : GridPoint(second));
  return true;
}

}  // namespace

SignSearch::SignSearch(const SignSearchOptions& options, bool moves_zero_point)
    : epochs_(options.epochs), moves_zero_point_(moves_zero_point) {
  double narrow = options.initial_step / options.rate;
  double wide = options.initial_step * options.rate;
  for (Index iteration = 0; iteration < options.iterations; ++iteration) {
    double& step = iteration % 2 == 0 ? wide : narrow;
    step *= iteration % 2 == 0 ? options.grow : options.shrink;
    steps_.push_back(step);
  }
}

bool SignSearch::IsSettled(const SignSearchState& state) const {
  return state.half_steps - state.last_move >= (moves_zero_point_ ? 2 : 1) * iterations();
}

bool SignSearch::StepZeroPoint(double step, OutputLoss* loss, SignSearchState* state) const {
  const GridPoint at = loss->point();
  ++state->half_steps;
  const bool moved = MoveToBetter({.scale = at.scale, .zero_point = at.zero_point - step},
                                  {.scale = at.scale, .zero_point = at.zero_point + step}, loss,
                                  &state->high_zero_point_first);
  if (!moved) return false;
  state->last_move = state->half_steps;
  ++state->zero_point_moves;
  return true;
}

bool SignSearch::StepScale(double step, OutputLoss* loss, SignSearchState* state) const {
  const GridPoint at = loss->point();
  ++state->half_steps;
  const bool moved = MoveToBetter({.scale = at.scale * (1 - step), .zero_point = at.zero_point},
                                  {.scale = at.scale * (1 + step), .zero_point = at.zero_point},
                                  loss, &state->high_scale_first);
  if (!moved) return false;
  state->last_move = state->half_steps;
  ++state->scale_moves;
  return true;
}

void SignSearch::RunEpoch(OutputLoss* loss, SignSearchState* state,
                          std::vector<SignSearchMove>* moves) const {
  for (Index iteration = 0; iteration < iterations() && !IsSettled(*state); ++iteration) {
    const double step = steps_[static_cast<std::size_t>(iteration)];
    bool moved = moves_zero_point_ && StepZeroPoint(step, loss, state);
    moved = StepScale(step, loss, state) || moved;
    if (moved && moves != nullptr) moves->push_back({iteration, loss->point()});
  }
}

void SignSearch::Run(OutputLoss* loss, SignSearchState* state) const {
  for (Index epoch = 0; epoch < epochs_; ++epoch) RunEpoch(loss, state, nullptr);
}

}  // namespace daq
