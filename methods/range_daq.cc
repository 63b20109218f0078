// DAQ (arXiv 2410.12187): the grid centred on the dense part of the weights, then adjusted to the
// layer's outputs by a sign search. docs/daq.md.
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "methods/daq.h"
#include "methods/minmax_grid.h"
#include "methods/range.h"

namespace daq {
namespace {

class Daq final : public Range {
 public:
  explicit Daq(const Settings& settings) : options_(ReadDaqOptions(settings)) {}

  void CheckFormat(const Format& format) const override { CheckGridFormat(format); }

  std::string Explain(const Format& format) const override { return ExplainDaq(options_, format); }

  Work Cost(const LayerSize& size) const override { return DaqCost(options_, size); }
  Footprint Memory(const LayerSize& size, int threads) const override {
    return DaqMemory(options_, size, threads);
  }

  bool needs_statistics() const override { return options_.searches; }

  std::span<const DiagnosticSpec> diagnostics() const override { return DaqDiagnosticSpecs(); }

  RangeResult Find(const ConstMatrixView& weight, const Format& format,
                   const LayerContext& layer) const override {
    DAQ_CHECK(!options_.searches || layer.statistics != nullptr, "the search needs inputs");
    const GroupPieces pieces(weight, format, layer);
    std::optional<GroupFactors> factors;
    if (options_.searches) {
      factors.emplace(*layer.statistics, weight.cols(), layer.columns, pieces.length(), layer.pool);
    }
    const std::vector<DaqGroup> groups =
        SolveDaq(pieces, format, layer, options_, factors ? &*factors : nullptr);
    std::vector<GridPoint> points;
    points.reserve(groups.size());
    for (const DaqGroup& group : groups) points.push_back(group.point);
    // Without a search nothing is lost by taking the codes nearest on the stored grid.
    RangeResult result = RoundedResult(pieces, format, points, options_.searches);
    if (options_.searches) result.diagnostics = DaqDiagnostics(groups);
    return result;
  }

 private:
  DaqOptions options_;
};

}  // namespace

std::unique_ptr<Range> MakeDaq(const Settings& settings);

std::unique_ptr<Range> MakeDaq(const Settings& settings) { return std::make_unique<Daq>(settings); }

}  // namespace daq
