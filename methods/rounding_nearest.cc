// Round to nearest: each weight on its own takes the nearest code of the range's grid.
#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "methods/encode.h"
#include "methods/rounding.h"
#include "methods/settings.h"

namespace daq {
namespace {

constexpr Index kRowsPerItem = 16;

std::vector<std::uint8_t> NearestCodes(const ConstMatrixView& weight, const Format& format,
                                       const Grid& grid, ThreadPool* pool) {
  const Encoder encoder(format.codebook);
  const Index length = GroupLength(format, weight.cols());
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(weight.size()));
  pool->ParallelFor((weight.rows() + kRowsPerItem - 1) / kRowsPerItem, [&](Index item, int) {
    const Index end = std::min((item + 1) * kRowsPerItem, weight.rows());
    for (Index row = item * kRowsPerItem; row < end; ++row) {
      for (Index group = 0; group < grid.scale.cols(); ++group) {
        const std::span<const float> weights(weight.row(row).data() + group * length,
                                             static_cast<std::size_t>(length));
        encoder.Encode(
            static_cast<double>(grid.scale(row, group)),
            static_cast<double>(grid.zero_point(row, group)), weights,
            std::span(codes).subspan(static_cast<std::size_t>(row * weight.cols() + group * length),
                                     weights.size()));
      }
    }
  });
  return codes;
}

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

std::unique_ptr<Rounding> MakeNearest(const Settings& settings);

std::unique_ptr<Rounding> MakeNearest(const Settings&) { return std::make_unique<Nearest>(); }

}  // namespace daq
