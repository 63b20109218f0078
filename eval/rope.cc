#include "eval/rope.h"

#include <cmath>
#include <numbers>
#include <vector>

namespace daq {
namespace {

// Llama 3.1: frequencies of long waves are divided by `factor`, those of short waves kept, those
// between blended. transformers/modeling_rope_utils.py, _compute_llama3_parameters.
float ScaleLlama3(float frequency, const Llama3RopeScaling& scaling) {
  const double wavelength = 2 * std::numbers::pi / static_cast<double>(frequency);
  const double longest_kept = scaling.original_max_position_embeddings / scaling.high_freq_factor;
  const double shortest_scaled = scaling.original_max_position_embeddings / scaling.low_freq_factor;
  const double value = static_cast<double>(frequency);
  if (wavelength < longest_kept) return frequency;
  if (wavelength > shortest_scaled) return static_cast<float>(value / scaling.factor);
  const double smooth =
      (scaling.original_max_position_embeddings / wavelength - scaling.low_freq_factor) /
      (scaling.high_freq_factor - scaling.low_freq_factor);
  return static_cast<float>((1 - smooth) * value / scaling.factor + smooth * value);
}

std::vector<float> InverseFrequencies(const RopeConfig& rope, Index head_dim) {
  std::vector<float> frequencies;
  for (Index pair = 0; pair < head_dim / 2; ++pair) {
    const float exponent = static_cast<float>(2 * pair) / static_cast<float>(head_dim);
    float frequency = 1.0F / std::pow(static_cast<float>(rope.theta), exponent);
    if (rope.llama3) frequency = ScaleLlama3(frequency, *rope.llama3);
    frequencies.push_back(frequency / static_cast<float>(rope.linear_factor));
  }
  return frequencies;
}

}  // namespace

RopeTable::RopeTable(const RopeConfig& rope, Index head_dim, Index tokens)
    : cosine(tokens, head_dim / 2), sine(tokens, head_dim / 2) {
  const std::vector<float> frequencies = InverseFrequencies(rope, head_dim);
  for (Index position = 0; position < tokens; ++position) {
    for (Index pair = 0; pair < head_dim / 2; ++pair) {
      const float angle =
          static_cast<float>(position) * frequencies[static_cast<std::size_t>(pair)];
      cosine(position, pair) = std::cos(angle);
      sine(position, pair) = std::sin(angle);
    }
  }
}

void RopeTable::Rotate(Index position, float* head) const {
  const Index half = cosine.cols();
  const float* c = cosine.data() + position * half;
  const float* s = sine.data() + position * half;
  for (Index pair = 0; pair < half; ++pair) {
    const float low = head[pair];
    const float high = head[pair + half];
    head[pair] = low * c[pair] - high * s[pair];
    head[pair + half] = high * c[pair] + low * s[pair];
  }
}

}  // namespace daq
