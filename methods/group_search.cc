#include "methods/group_search.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace daq {
namespace {

constexpr Index kRowsPerItem = 8;

}  // namespace

void CheckFitsInFloat32(const GroupGrid& grid, const Format& format, const std::string& layer,
                        Index row) {
  if (FitsInFloat32(grid, format.codebook)) return;
  throw InputError({layer}, fmt::format("weight[{}]", row),
                   fmt::format("weights whose {} grid fits in float32", FormatName(format)),
                   fmt::format("scale {}, zero-point {}", grid.scale, grid.zero_point));
}

Grid FindEachGroup(const ConstMatrixView& weight, const Format& format, const LayerContext& layer,
                   bool integer_zero_point,
                   const std::function<GroupGrid(std::span<const float>)>& find) {
  const Index groups = GroupsPerRow(format, weight.cols(), layer.name);
  const Index length = GroupLength(format, weight.cols());
  Grid grid{.scale = MatrixF(weight.rows(), groups),
            .zero_point = MatrixF(weight.rows(), groups),
            .integer_zero_point = integer_zero_point};
  layer.pool->ParallelFor((weight.rows() + kRowsPerItem - 1) / kRowsPerItem, [&](Index item, int) {
    const Index end = std::min((item + 1) * kRowsPerItem, weight.rows());
    for (Index row = item * kRowsPerItem; row < end; ++row) {
      for (Index group = 0; group < groups; ++group) {
        const GroupGrid found =
            find({weight.row(row).data() + group * length, static_cast<std::size_t>(length)});
        CheckFitsInFloat32(found, format, layer.name, row);
        grid.scale(row, group) = found.scale;
        grid.zero_point(row, group) = found.zero_point;
      }
    }
  });
  return grid;
}

}  // namespace daq
