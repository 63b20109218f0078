#pragma once
#include <span>
#include <string>

#include "methods/density_center.h"
#include "methods/format.h"
#include "methods/settings.h"
#include "methods/sign_search.h"

namespace daq {

// Where stage 1 puts the zero-point: the dense centre, or 0, on the dense part of the code book; or
// the last code on the largest weight.
enum class ZeroInit { kDensity, kZero, kMinMax };

// The settings of DAQ's two stages, of `daq` and of ranges that begin with it.
struct DaqOptions {
  bool starts_dense = true;  // stage 1; otherwise the min-max range
  bool searches = true;      // stage 2
  CenterOptions center;
  double shrink = 0.9;
  ZeroInit zero_init = ZeroInit::kDensity;
  SignSearchOptions search;
  bool idle_stop = false;
  Index search_rows = 0;  // 0: all, exact
};

// Their specs, and their values.
std::span<const SettingSpec> DaqSettings();
DaqOptions ReadDaqOptions(const Settings& settings);

// What they come to for `format`, in words.
std::string ExplainDaq(const DaqOptions& options, const Format& format);

// Stage 1: where the search begins for a group, not all of whose weights are equal. In double:
//     m = the dense centre,  k = shrink * max(max w - m, m - min w)
//     s = k / reach,         z = middle - m / s
// m lands on `middle`, the dense part of the code book, and reach is how far codes go from there:
// 0 and min(c_last, -c_first) for floating-point books with both signs, for which this is the
// paper's formula (c_last for every built-in one); half-way between the ends, and half their
// distance, for unsigned integers and books of one sign, where the paper has none. Symmetric
// formats: m = 0, z = 0, reach as the min-max range (methods/minmax_grid.h). s is at least the
// smallest normal float.
GridPoint StartOfDaq(std::span<const float> weights, const Format& format,
                     const DaqOptions& options);

// The min-max range of a group, zero-point real-valued: where the search begins without stage 1.
GridPoint MinMaxPoint(std::span<const float> weights, const Format& format);

}  // namespace daq
