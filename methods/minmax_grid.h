#pragma once
#include <array>
#include <span>
#include <string>

#include "methods/format.h"
#include "methods/settings.h"

namespace daq {

// The smallest and largest weight of a group.
struct WeightInterval {
  float lowest = 0;
  float highest = 0;
};

WeightInterval IntervalOf(std::span<const float> weights);

// One group's scale and zero-point.
struct GroupGrid {
  float scale = 1;
  float zero_point = 0;
};

// True if every weight of the grid is a finite float: weights near the end of float32 may leave no
// room for the half step by which a rounded zero-point moves the ends.
bool FitsInFloat32(const GroupGrid& grid, const Codebook& book);

// What papers differ in when they lay a grid over an interval; the settings that ranges share.
struct GridRules {
  bool round_zero_point =
      true;  // integer grids: z is rounded (half to even) and clamped to 0 .. 2^b - 1
  bool include_zero = false;  // the interval is stretched to contain 0
};

// The specs of GridRules' members, to begin a range's table of settings, and their values.
inline constexpr std::size_t kGridRuleCount = 2;
std::array<SettingSpec, kGridRuleCount> GridRuleSpecs();
GridRules ReadGridRules(const Settings& settings);

// What `rules` come to for `format`, in words.
std::string ExplainGrid(const GridRules& rules, const Format& format);

// True if LayGrid's zero-points are whole numbers in the code range for this format.
bool HasIntegerZeroPoint(const GridRules& rules, const Format& format);

// Throws InputError if a symmetric grid over the format's code book cannot reach both signs.
void CheckGridFormat(const Format& format);

// Lays the format's code book over an interval, lowest <= highest, in float32 as the authors' code
// does:
//   integers, asymmetric  s = max(highest - lowest, 1e-5) / (2^b - 1),        z = -lowest / s
//   integers, symmetric   s = max(max |w|, 1e-5) / (2^(b-1) - 1),             z = 0
//   other, asymmetric     s = (highest - lowest) / (c_last - c_first),        z = c_last - highest
//   / s other, symmetric      s = max |w| / min(c_last, -c_first),                z = 0
// (llm-awq's pseudo_quantize_tensor and the DAQ release's; docs/methods.md.) Where these leave no
// usable grid:
// - lowest = highest = c, not 0: the interval between 0 and c is used, so that c is representable.
// llm-awq's own
//   formula would clamp z and turn every weight of the group into nearly 0.
// - a scale below the smallest normal float is that float, so scales are positive; what is then too
// small to tell apart
//   from 0 becomes 0. All-zero groups of non-integer books are this case.
// The grid is not finite if float32 cannot hold it; the caller refuses it.
GroupGrid LayGrid(const WeightInterval& interval, const GridRules& rules, const Format& format);

}  // namespace daq
