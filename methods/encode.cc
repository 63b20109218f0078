#include "methods/encode.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace daq {
namespace {

// Weights are taken in blocks of a fixed length, so that the compiler turns the inner loops into
// vector code.
constexpr std::size_t kBlock = 32;
// Up to this many thresholds, comparing with each beats searching: no branch and no table look-up.
constexpr std::size_t kMostCompared = 32;
constexpr std::size_t kMostThresholds = 255;
// With a larger zero-point than this the direct formula's guess could be more than one code off.
constexpr double kLargestDirectZeroPoint = 1e9;

// The largest float <= value. value is finite, or so large that its float is infinite. Without a
// branch, which would be as hard to predict as rounding is: this runs for every threshold of every
// grid that a search looks at.
float RoundDown(double value) {
  constexpr std::int32_t kMagnitude = 0x7fffffff;
  // No weight lies above the largest float.
  const double bounded = std::min(value, static_cast<double>(std::numeric_limits<float>::max()));
  const auto nearest = static_cast<float>(bounded);
  const auto bits = std::bit_cast<std::int32_t>(nearest);
  // As integers in the order of the floats one step down is 1 less. Only below zero can the nearest
  // float 0 be too large, and then it is -0, one above the smallest negative.
  std::int32_t ordered = bits ^ ((bits >> 31) & kMagnitude);
  ordered -= static_cast<double>(nearest) > bounded ? 1 : 0;
  return std::bit_cast<float>(ordered ^ ((ordered >> 31) & kMagnitude));
}

// Calls body(in, out) for each kBlock weights; the last block is filled up with zeros.
template <typename Out, typename Body>
void ForEachBlock(std::span<const float> weights, std::span<Out> results, const Body& body) {
  std::size_t i = 0;
  for (; i + kBlock <= weights.size(); i += kBlock) body(&weights[i], &results[i]);
  if (i == weights.size()) return;
  std::array<float, kBlock> in{};
  std::array<Out, kBlock> out{};
  std::copy(weights.begin() + static_cast<std::ptrdiff_t>(i), weights.end(), in.begin());
  body(in.data(), out.data());
  std::copy_n(out.begin(), weights.size() - i, results.begin() + static_cast<std::ptrdiff_t>(i));
}

// Counts the thresholds below each weight.
void EncodeByComparing(std::span<const float> thresholds, std::span<const float> weights,
                       std::span<std::uint8_t> codes) {
  ForEachBlock(weights, codes, [&](const float* in, std::uint8_t* out) {
    std::array<std::int32_t, kBlock> count{};
    for (const float threshold : thresholds) {
      for (std::size_t i = 0; i < kBlock; ++i) count[i] += in[i] > threshold ? 1 : 0;
    }
    for (std::size_t i = 0; i < kBlock; ++i) out[i] = static_cast<std::uint8_t>(count[i]);
  });
}

// What the counted code decodes to, without the code: each threshold below a weight selects the
// next value.
void SelectByComparing(std::span<const float> thresholds, std::span<const float> decoded,
                       std::span<const float> weights, std::span<float> nearest) {
  ForEachBlock(weights, nearest, [&](const float* in, float* out) {
    std::array<float, kBlock> selected;
    selected.fill(decoded[0]);
    for (std::size_t k = 0; k < thresholds.size(); ++k) {
      const float threshold = thresholds[k];
      const float next = decoded[k + 1];
      for (std::size_t i = 0; i < kBlock; ++i) selected[i] = in[i] > threshold ? next : selected[i];
    }
    std::copy(selected.begin(), selected.end(), out);
  });
}

// The same count by binary search, without branches, over a table filled up to 255 with +infinity.
void EncodeBySearching(std::span<const float> thresholds, std::span<const float> weights,
                       std::span<std::uint8_t> codes) {
  std::array<float, kMostThresholds> table;
  table.fill(std::numeric_limits<float>::infinity());
  std::copy(thresholds.begin(), thresholds.end(), table.begin());
  ForEachBlock(weights, codes, [&](const float* in, std::uint8_t* out) {
    std::array<std::uint32_t, kBlock> below{};
    for (std::uint32_t step = 128; step > 0; step /= 2) {
      for (std::size_t i = 0; i < kBlock; ++i) {
        // A mask, not a conditional: compilers make a jump of that, and it is as hard to predict as
        // the weights.
        const std::uint32_t is_above = in[i] > table[below[i] + step - 1] ? 1 : 0;
        below[i] += step & (0U - is_above);
      }
    }
    for (std::size_t i = 0; i < kBlock; ++i) out[i] = static_cast<std::uint8_t>(below[i]);
  });
}

// Integer grids: a guess from w / s + z, then the predicate itself on the guess's two thresholds.
// The guess is off by at most one: its value before truncation has an error below 4 * 2^-53 * 1e9
// wherever it is not clamped.
void EncodeDirectly(double first, double last, double scale, double zero_point,
                    std::span<const float> weights, std::span<std::uint8_t> codes) {
  const double per_scale = 1.0 / scale;
  const double offset = zero_point - first + 0.5;
  const double top = last - first;
  ForEachBlock(weights, codes, [&](const float* in, std::uint8_t* out) {
    for (std::size_t i = 0; i < kBlock; ++i) {
      const auto weight = static_cast<double>(in[i]);
      const double in_range = std::min(std::max(weight * per_scale + offset, 0.0), top);
      const auto guess = static_cast<double>(static_cast<std::int32_t>(in_range));
      const double above = (first + guess + 0.5 - zero_point) * scale;
      const double below = (first + guess - 0.5 - zero_point) * scale;
      const int up = (weight > above ? 1 : 0) & (guess < top ? 1 : 0);
      const int down = (weight <= below ? 1 : 0) & (guess > 0.0 ? 1 : 0);
      out[i] = static_cast<std::uint8_t>(static_cast<std::int32_t>(guess) + up - down);
    }
  });
}

}  // namespace

Encoder::Encoder(const Codebook& codebook)
    : values_(codebook.values.begin(), codebook.values.end()), integer_(codebook.integer) {
  DAQ_CHECK(values_.size() >= 2 && values_.size() <= kMostThresholds + 1, "2 to 256 codes");
  for (std::size_t k = 0; k + 1 < values_.size(); ++k)
    midpoints_.push_back((values_[k] + values_[k + 1]) / 2);
}

void Encoder::Thresholds(double scale, double zero_point, std::span<float> thresholds) const {
  DAQ_CHECK(thresholds.size() == midpoints_.size(), "one threshold between each two codes");
  for (std::size_t k = 0; k < thresholds.size(); ++k) {
    thresholds[k] = RoundDown((midpoints_[k] - zero_point) * scale);
  }
}

void Encoder::Encode(double scale, double zero_point, std::span<const float> weights,
                     std::span<std::uint8_t> codes) const {
  DAQ_CHECK(weights.size() == codes.size(), "one code a weight");
  if (integer_ && midpoints_.size() >= kMostCompared &&
      std::abs(zero_point) <= kLargestDirectZeroPoint) {
    EncodeDirectly(values_.front(), values_.back(), scale, zero_point, weights, codes);
    return;
  }
  std::array<float, kMostThresholds> storage;
  const std::span<float> thresholds(storage.data(), midpoints_.size());
  Thresholds(scale, zero_point, thresholds);
  if (thresholds.size() < kMostCompared) {
    EncodeByComparing(thresholds, weights, codes);
  } else {
    EncodeBySearching(thresholds, weights, codes);
  }
}

void Encoder::RoundToNearest(double scale, double zero_point, std::span<const float> weights,
                             std::span<float> nearest) const {
  DAQ_CHECK(weights.size() == nearest.size(), "one result a weight");
  std::array<float, kMostThresholds + 1> decoded{};
  for (std::size_t code = 0; code < values_.size(); ++code)
    decoded[code] = Decode(code, scale, zero_point);
  if (midpoints_.size() < kMostCompared) {
    std::array<float, kMostThresholds> storage;
    const std::span<float> thresholds(storage.data(), midpoints_.size());
    Thresholds(scale, zero_point, thresholds);
    SelectByComparing(thresholds, decoded, weights, nearest);
    return;
  }
  std::array<std::uint8_t, kBlock * 32> codes;
  for (std::size_t begin = 0; begin < weights.size(); begin += codes.size()) {
    const std::size_t count = std::min(codes.size(), weights.size() - begin);
    Encode(scale, zero_point, weights.subspan(begin, count), std::span(codes).first(count));
    for (std::size_t i = 0; i < count; ++i) nearest[begin + i] = decoded[codes[i]];
  }
}

}  // namespace daq
