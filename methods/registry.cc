#include "methods/registry.h"

#include "methods/range.h"
#include "methods/rounding.h"
#include "methods/transform.h"

namespace daq {

// Each part's own .cc file defines these two; the tables below name them.
std::unique_ptr<Transform> MakeNone(const Settings& settings);
std::span<const SettingSpec> AwqScaleSettings();
std::unique_ptr<Transform> MakeAwqScale(const Settings& settings);
std::span<const SettingSpec> MinMaxSettings();
std::unique_ptr<Range> MakeMinMax(const Settings& settings);
std::span<const SettingSpec> MseSettings();
std::unique_ptr<Range> MakeMse(const Settings& settings);
std::span<const SettingSpec> ClipSettings();
std::unique_ptr<Range> MakeClip(const Settings& settings);
std::span<const SettingSpec> DaqSettings();
std::unique_ptr<Range> MakeDaq(const Settings& settings);
std::span<const SettingSpec> DaqPlusSettings();
std::unique_ptr<Range> MakeDaqPlus(const Settings& settings);
std::unique_ptr<Rounding> MakeNearest(const Settings& settings);
std::span<const SettingSpec> GptqSettings();
std::unique_ptr<Rounding> MakeGptq(const Settings& settings);
std::span<const SettingSpec> CodeDescentSettings();
std::unique_ptr<Rounding> MakeCodeDescent(const Settings& settings);

namespace {

std::span<const SettingSpec> NoSettings() { return {}; }

constexpr PartEntry<Transform> kTransforms[] = {
    {"none", "weights are quantised as they are", NoSettings, MakeNone},
    {"awq_scale", "AWQ: input channels scaled by a power of their mean activation",
     AwqScaleSettings, MakeAwqScale},
};

constexpr PartEntry<Range> kRanges[] = {
    {"minmax", "from the smallest to the largest weight of the group", MinMaxSettings, MakeMinMax},
    {"mse", "the min-max range shrunk by the factor of least weight error", MseSettings, MakeMse},
    {"clip", "AWQ: clipped to the [-m, m] of least error in the group's part of the output",
     ClipSettings, MakeClip},
    {"daq", "DAQ: centred on the dense weights, then adjusted to the outputs by a sign search",
     DaqSettings, MakeDaq},
    {"daq_plus", "DAQ's objective with a penalty, a wider search and groups solved jointly",
     DaqPlusSettings, MakeDaqPlus},
};

constexpr PartEntry<Rounding> kRoundings[] = {
    {"nearest", "the code nearest to the weight; a tie goes to the lower code", NoSettings,
     MakeNearest},
    {"gptq", "column after column; later columns make good what rounding did to the outputs",
     GptqSettings, MakeGptq},
    {"code_descent", "codes changed one at a time while that lowers the error of the outputs",
     CodeDescentSettings, MakeCodeDescent},
};

}  // namespace

std::span<const PartEntry<Transform>> Transforms() { return kTransforms; }
std::span<const PartEntry<Range>> Ranges() { return kRanges; }
std::span<const PartEntry<Rounding>> Roundings() { return kRoundings; }

}  // namespace daq
