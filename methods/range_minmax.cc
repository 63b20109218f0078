// The range of plain round-to-nearest baselines: from the smallest to the largest weight of each
// group.
#include <array>
#include <memory>

#include "methods/group_search.h"
#include "methods/minmax_grid.h"
#include "methods/range.h"

namespace daq {
namespace {

class MinMax final : public Range {
 public:
  explicit MinMax(const Settings& settings) : rules_(ReadGridRules(settings)) {}

  void CheckFormat(const Format& format) const override { CheckGridFormat(format); }
  std::string Explain(const Format& format) const override { return ExplainGrid(rules_, format); }
  bool needs_statistics() const override { return false; }

  RangeResult Find(const ConstMatrixView& weight, const Format& format,
                   const LayerContext& layer) const override {
    const auto find = [&](std::span<const float> group) {
      return LayGrid(IntervalOf(group), rules_, format);
    };
    return {.grid = FindEachGroup(weight, format, layer, HasIntegerZeroPoint(rules_, format), find),
            .codes = {}};
  }

 private:
  GridRules rules_;
};

}  // namespace

std::span<const SettingSpec> MinMaxSettings();
std::unique_ptr<Range> MakeMinMax(const Settings& settings);

std::span<const SettingSpec> MinMaxSettings() {
  static const std::array<SettingSpec, kGridRuleCount> specs = GridRuleSpecs();
  return specs;
}

std::unique_ptr<Range> MakeMinMax(const Settings& settings) {
  return std::make_unique<MinMax>(settings);
}

}  // namespace daq
