#pragma once
#include <functional>
#include <span>
#include <string>

#include "methods/minmax_grid.h"
#include "methods/range.h"

namespace daq {

// Throws InputError, naming the layer and row, unless the grid FitsInFloat32.
void CheckFitsInFloat32(const GroupGrid& grid, const Format& format, const std::string& layer,
                        Index row);

// The grid of a range that decides each group by its weights alone: calls find(weights of the
// group) for every group of every row, rows shared out over the pool. find may be called by several
// threads at once. Throws InputError, naming the layer, if group_size does not divide the columns
// or a value of find's grid does not fit in float32.
Grid FindEachGroup(const ConstMatrixView& weight, const Format& format, const LayerContext& layer,
                   bool integer_zero_point,
                   const std::function<GroupGrid(std::span<const float>)>& find);

}  // namespace daq
