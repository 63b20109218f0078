#pragma once
#include <algorithm>
#include <cstdint>

namespace daq {

// The factors by which searches over a shrunk range multiply it, as GPTQ's quant.py and llm-awq's
// auto_clip.py count them: 1 - i / points for i from 0 to int(max_shrink * points), that not
// included; 1 is always among them.
struct ShrinkFactors {
  std::int64_t points = 1;  // >= 1
  double max_shrink = 0;    // in [0, 1]

  std::int64_t count() const {
    return std::max<std::int64_t>(
        1, static_cast<std::int64_t>(max_shrink * static_cast<double>(points)));
  }

  double At(std::int64_t i) const {
    return 1.0 - static_cast<double>(i) / static_cast<double>(points);
  }
};

}  // namespace daq
