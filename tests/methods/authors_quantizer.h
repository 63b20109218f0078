#pragma once
#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "methods/format.h"
#include "tests/methods/matrices.h"

// The quantiser inside the authors' searches, as tests hold them to it.
namespace daq {

// llm-awq's pseudo_quantize_tensor of one group, and the DAQ release's for other books, literally:
// grids in float32, codes by rounding w / s in float32 and by comparing w / s + z with midpoints
// (in double, so that float32's rounding of the sum moves no weight across an edge).
inline std::vector<float> PseudoQuantize(const std::vector<float>& w, const Format& format) {
  const float highest = *std::max_element(w.begin(), w.end());
  const float lowest = *std::min_element(w.begin(), w.end());
  const std::vector<float>& codes = format.codebook.values;
  std::vector<float> result;
  if (format.codebook.integer && !format.symmetric) {
    const float scale = std::max(highest - lowest, 1e-5F) / codes.back();
    const float zero = std::clamp(-std::nearbyint(lowest / scale), 0.0F, codes.back());
    for (const float x : w) {
      const float code = std::clamp(std::nearbyint(x / scale) + zero, 0.0F, codes.back());
      result.push_back((code - zero) * scale);
    }
    return result;
  }
  float scale = (highest - lowest) / (codes.back() - codes.front());
  float zero = codes.back() - highest / scale;
  if (format.symmetric) {
    const float largest = std::max(std::abs(highest), std::abs(lowest));
    scale = (format.codebook.integer ? std::max(largest, 1e-5F) : largest) /
            std::min(codes.back(), format.codebook.integer ? codes.back() : -codes.front());
    zero = 0;
  }
  for (const float x : w) {
    std::size_t code = 0;
    const double u =
        static_cast<double>(x) / static_cast<double>(scale) + static_cast<double>(zero);
    while (code + 1 < codes.size() && u > static_cast<double>((codes[code] + codes[code + 1]) / 2))
      ++code;
    result.push_back((codes[code] - zero) * scale);
  }
  return result;
}

// Formats that the authors' code has: asymmetric and symmetric integers and floating-point books.
inline std::vector<Format> AuthorsFormats(Index group_size) {
  std::vector<Format> formats;
  for (const std::string_view name : {"int2", "int3", "int4", "int8", "nf4", "fp4_e2m1_release"}) {
    for (const bool symmetric : {false, true}) {
      formats.push_back(
          {.codebook = BuiltIn(name, symmetric), .symmetric = symmetric, .group_size = group_size});
    }
  }
  return formats;
}

}  // namespace daq
