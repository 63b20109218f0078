#pragma once
#include "base/matrix.h"
#include "eval/model_config.h"

namespace daq {

// Cosines and sines of the rotary position embedding, float32 as transformers computes them:
// frequencies, their product with the position, then cos and sin, each rounded to float.
struct RopeTable {
  MatrixF cosine;  // [tokens, head_dim / 2]
  MatrixF sine;    // same

  RopeTable(const RopeConfig& rope, Index head_dim, Index tokens);

  // Rotates one head's vector of position `position` in place: (x[i], x[i + d/2]) by the angle of
  // pair i.
  void Rotate(Index position, float* head) const;
};

}  // namespace daq
