#include "methods/registry.h"

#include "methods/range.h"
#include "methods/rounding.h"
#include "methods/transform.h"

// One line a part: its name in configs, the name X of the functions XSettings and MakeX in its own
// file, and what it does.
// clang-format off
#define DAQ_TRANSFORMS(X) \
  X("none", None, "weights are quantised as they are") \
  X("awq_scale", AwqScale, "AWQ: input channels scaled by a power of their mean activation")

#define DAQ_RANGES(X) \
  X("minmax", MinMax, "from the smallest to the largest weight of the group") \
  X("mse", Mse, "the min-max range shrunk by the factor of least weight error") \
  X("clip", Clip, "AWQ: clipped to the [-m, m] of least error in the group's part of the output") \
  X("daq", Daq, "DAQ: centred on the dense weights, then adjusted to the outputs by a sign search") \
  X("daq_plus", DaqPlus, "DAQ's objective with a penalty, a wider search and groups solved jointly")

#define DAQ_ROUNDINGS(X) \
  X("nearest", Nearest, "the code nearest to the weight; a tie goes to the lower code") \
  X("gptq", Gptq, "column after column; later columns make good what rounding did to the outputs") \
  X("code_descent", CodeDescent, "codes changed one at a time while that lowers the error of the outputs")
// clang-format on

namespace daq {

#define DAQ_DECLARE(Part, Functions)                  \
  std::span<const SettingSpec> Functions##Settings(); \
  std::unique_ptr<Part> Make##Functions(const Settings& settings);
#define DAQ_DECLARE_TRANSFORM(name, Functions, summary) DAQ_DECLARE(Transform, Functions)
#define DAQ_DECLARE_RANGE(name, Functions, summary) DAQ_DECLARE(Range, Functions)
#define DAQ_DECLARE_ROUNDING(name, Functions, summary) DAQ_DECLARE(Rounding, Functions)
DAQ_TRANSFORMS(DAQ_DECLARE_TRANSFORM)
DAQ_RANGES(DAQ_DECLARE_RANGE)
DAQ_ROUNDINGS(DAQ_DECLARE_ROUNDING)

namespace {

#define DAQ_ENTRY(name, Functions, summary) {name, summary, Functions##Settings, Make##Functions},
constexpr PartEntry<Transform> kTransforms[] = {DAQ_TRANSFORMS(DAQ_ENTRY)};
constexpr PartEntry<Range> kRanges[] = {DAQ_RANGES(DAQ_ENTRY)};
constexpr PartEntry<Rounding> kRoundings[] = {DAQ_ROUNDINGS(DAQ_ENTRY)};

}  // namespace

std::span<const PartEntry<Transform>> Transforms() { return kTransforms; }
std::span<const PartEntry<Range>> Ranges() { return kRanges; }
std::span<const PartEntry<Rounding>> Roundings() { return kRoundings; }

}  // namespace daq
