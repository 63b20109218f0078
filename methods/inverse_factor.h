#pragma once
#include <cstdint>
#include <vector>

#include "methods/range.h"

namespace daq {

// What GPTQ knows of a layer's inputs. H = 2 / tokens * X^T X; features whose inputs are all zero
// ("dead") get a 1 on its diagonal; damp_percent times the mean of that diagonal is added to it.
// (The authors divide by windows, not tokens: that changes nothing but the sizes reported and the
// weight of a dead feature's 1 in the mean.)
struct InverseFactor {
  // U [in_features, in_features], upper triangular, zero below: H^-1 = U^T U. Computed in double.
  MatrixF upper;
  std::vector<std::int32_t> order;  // row and column p of U are input feature order[p]
  std::vector<std::int32_t> dead;   // input features, ascending
  double damp_percent = 0;          // that was used: more than asked for if H was singular
  double trace = 0;                 // of 2 / tokens * X^T X
};

// Input features in order (`act_order` false), or by falling diagonal of H, ties by index.
//
// Where H plus damping is not positive definite to working precision, damping is multiplied by 10
// (from 1e-4 at least) until it is, up to damp_percent 10; the result says what was used. Throws
// InputError, naming the layer, if that does not help: the inputs then are not finite.
//
// Kept with the statistics, which must be there, and shared by all layers and recipes that ask for
// the same: 4 * n^2 bytes for n = in_features (11008: 0.48 GB). While it is made, 16 * tokens * n
// bytes more for few tokens (a quarter of n at most), else 8 * n^2 besides the Gram matrix.
const InverseFactor& InverseFactorOf(const LayerContext& layer, double damp_percent,
                                     bool act_order);

// The memory and the work of that, for forecasts: with a Gram matrix that nobody else has asked
// for.
Footprint InverseFactorMemory(Index in_features, Index tokens);
Work InverseFactorWork(Index in_features, Index tokens);

}  // namespace daq
