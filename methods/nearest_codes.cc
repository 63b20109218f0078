#include "methods/nearest_codes.h"

#include <algorithm>
#include <span>

#include "methods/encode.h"

namespace daq {
namespace {

constexpr Index kRowsPerItem = 16;

}  // namespace

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

}  // namespace daq
