// Round to nearest: each weight on its own takes the nearest code of the range's grid.
#include <memory>
#include <utility>

#include "methods/nearest_codes.h"
#include "methods/rounding.h"
#include "methods/settings.h"

namespace daq {
namespace {

class Nearest final : public Rounding {
 public:
  bool needs_statistics() const override { return false; }

  RoundingResult Quantize(const ConstMatrixView& weight, const Range& range, const Format& format,
                          const LayerContext& layer) const override {
    RangeResult result = range.Find(weight, format, layer);
    if (result.codes.empty()) result.codes = NearestCodes(weight, format, result.grid, layer.pool);
    return {
        .matrix = Pack(format, weight.rows(), weight.cols(), result.codes, std::move(result.grid)),
        .diagnostics = std::move(result.diagnostics)};
  }
};

}  // namespace

std::span<const SettingSpec> NearestSettings();
std::unique_ptr<Rounding> MakeNearest(const Settings& settings);

std::span<const SettingSpec> NearestSettings() { return {}; }

std::unique_ptr<Rounding> MakeNearest(const Settings&) { return std::make_unique<Nearest>(); }

}  // namespace daq
