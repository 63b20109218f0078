#include "methods/lane_encoder.h"

#include <algorithm>
#include <bit>

namespace daq {
namespace {

// Up to this many thresholds, comparing with each is faster than a search.
constexpr std::size_t kMostCompared = 32;

}  // namespace

LaneEncoder::LaneEncoder(const Encoder& encoder)
    : encoder_(&encoder),
      thresholds_(static_cast<std::size_t>(encoder.codes()) - 1),
      values_(static_cast<std::size_t>(encoder.codes())),
      row_(thresholds_.size()) {}

void LaneEncoder::SetGrid(std::size_t lane, double scale, double zero_point) {
  encoder_->Thresholds(scale, zero_point, row_);
  for (std::size_t k = 0; k < row_.size(); ++k) thresholds_[k][lane] = row_[k];
  for (std::size_t code = 0; code < values_.size(); ++code)
    values_[code][lane] = encoder_->Decode(code, scale, zero_point);
}

void LaneEncoder::Encode(const Floats& weights, Codes* codes, Floats* restored) const {
  std::array<std::uint32_t, kLanes> below{};
  if (thresholds_.size() <= kMostCompared) {
    Floats value = values_[0];
    for (std::size_t k = 0; k < thresholds_.size(); ++k) {
      const Floats& threshold = thresholds_[k];
      const Floats& next = values_[k + 1];
      for (std::size_t i = 0; i < kLanes; ++i) {
        const bool is_above = weights[i] > threshold[i];
        below[i] += is_above ? 1U : 0U;
        value[i] = is_above ? next[i] : value[i];
      }
    }
    *restored = value;
  } else {
    // A binary search that keeps to the thresholds there are.
    for (std::size_t step = std::bit_floor(thresholds_.size()); step > 0; step /= 2) {
      for (std::size_t i = 0; i < kLanes; ++i) {
        const std::size_t to = below[i] + step;
        if (to <= thresholds_.size() && weights[i] > thresholds_[to - 1][i])
          below[i] = static_cast<std::uint32_t>(to);
      }
    }
    for (std::size_t i = 0; i < kLanes; ++i) (*restored)[i] = values_[below[i]][i];
  }
  for (std::size_t i = 0; i < kLanes; ++i) (*codes)[i] = static_cast<std::uint8_t>(below[i]);
}

}  // namespace daq
