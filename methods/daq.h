#pragma once
#include <span>
#include <vector>

#include "methods/daq_settings.h"
#include "methods/input_factor.h"
#include "methods/range.h"

namespace daq {

// What DAQ made of one group.
struct DaqGroup {
  GridPoint point;
  // All weights are equal: the min-max range is exact and there is nothing to search.
  bool is_constant = false;
  // Mean over tokens of the squared output error, as the search sees it: with search_rows not
  // exact. On the min-max grid, where stage 1 begins; infinite where that does not fit in float32.
  double loss_minmax = 0;
  double loss_start = 0;  // before stage 2
  double loss_end = 0;    // after it
  SignSearchState search;
};

// The groups of a weight matrix that a search works through, in pieces of fixed size.
class GroupPieces {
 public:
  GroupPieces(const ConstMatrixView& weight, const Format& format, const LayerContext& layer);

  Index rows() const { return weight_.rows(); }
  Index groups() const { return groups_; }  // of a row
  Index length() const { return length_; }
  Index count() const { return rows() * groups_; }

  // The position of a group in a vector of count() elements.
  std::size_t At(Index row, Index group) const {
    return static_cast<std::size_t>(row * groups_ + group);
  }

  std::span<const float> Weights(Index row, Index group) const {
    return {weight_.row(row).data() + group * length_, static_cast<std::size_t>(length_)};
  }

  // Calls body(row, group, worker) for all groups, shared out over the layer's pool. Rows of the
  // same group follow each other, so that its inputs stay near the processor.
  void ForEach(const std::function<void(Index row, Index group, int worker)>& body) const;

 private:
  ConstMatrixView weight_;
  ThreadPool* pool_;
  Index groups_;
  Index length_;
};

// Both stages for every group. `factors` are those of the layer's inputs in groups of this length,
// null if options.searches is false. Throws InputError, naming the layer, for weights too large for
// a grid in float32.
std::vector<DaqGroup> SolveDaq(const GroupPieces& pieces, const Format& format,
                               const LayerContext& layer, const DaqOptions& options,
                               const GroupFactors* factors);

// The grid that rounds each group's point to float, and with `with_codes` the codes nearest in
// double. points has pieces.count() elements.
RangeResult RoundedResult(const GroupPieces& pieces, const Format& format,
                          std::span<const GridPoint> points, bool with_codes);

// Of SolveDaq, for forecasts (methods/layer_size.h): some 1500 looks at a group's loss, and once
// the sums of its inputs.
Work DaqCost(const DaqOptions& options, const LayerSize& size);
Footprint DaqMemory(const DaqOptions& options, const LayerSize& size, int threads);

// daq.loss_start and so on, docs/daq.md.
std::span<const DiagnosticSpec> DaqDiagnosticSpecs();
Diagnostics DaqDiagnostics(std::span<const DaqGroup> groups);

}  // namespace daq
