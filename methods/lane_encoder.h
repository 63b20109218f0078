#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "methods/encode.h"

namespace daq {

// Encodes one weight each of kLanes rows at once, every row by its own grid: what a rounding needs
// that goes through the columns one after the other. Codes are the Encoder's, bit for bit.
class LaneEncoder {
 public:
  // Rows side by side: two vectors of AVX-512, four of AVX2.
  static constexpr std::size_t kLanes = 32;
  using Floats = std::array<float, kLanes>;
  using Codes = std::array<std::uint8_t, kLanes>;

  // Lanes have no grid yet. `encoder` must outlive this.
  explicit LaneEncoder(const Encoder& encoder);

  // scale > 0 and finite, zero_point finite.
  void SetGrid(std::size_t lane, double scale, double zero_point);

  // codes[lane] and what it stands for. Every lane has a grid.
  void Encode(const Floats& weights, Codes* codes, Floats* restored) const;

 private:
  const Encoder* encoder_;
  std::vector<Floats> thresholds_;  // [codes - 1] of kLanes
  std::vector<Floats> values_;      // [codes] of kLanes
  std::vector<float> row_;          // the thresholds of one lane
};

}  // namespace daq
