#include "methods/daq.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/reduce.h"
#include "methods/encode.h"

namespace daq {
namespace {

constexpr Index kRowsPerItem = 4;

constexpr Index kIdleIterations = 5;  // the release breaks off an epoch after more than these

bool IsConstant(std::span<const float> weights) {
  return std::all_of(weights.begin(), weights.end(),
                     [&](float weight) { return weight == weights.front(); });
}

// The loss with `loss` moved to `point`; infinite where that is not storable.
double LossAt(const GridPoint& point, const Format& format, OutputLoss* loss) {
  if (!IsStorable(point, format.codebook)) return std::numeric_limits<double>::infinity();
  loss->MoveTo(point);
  return loss->loss();
}

void CheckStorable(const GridPoint& point, const Format& format, const std::string& layer,
                   Index row) {
  if (IsStorable(point, format.codebook)) return;
  throw InputError({layer}, fmt::format("weight[{}]", row),
                   fmt::format("weights whose {} grid fits in float32", FormatName(format)),
                   fmt::format("scale {}, zero-point {}", static_cast<float>(point.scale),
                               static_cast<float>(point.zero_point)));
}

// What a search knows of the inputs of each group.
class SearchInputs {
 public:
  // `rows`: DaqOptions::search_rows. The factors must outlive this.
  SearchInputs(const GroupPieces& pieces, const GroupFactors& factors, Index rows, ThreadPool* pool)
      : pieces_(pieces), factors_(factors) {
    if (rows == 0) return;
    leading_.resize(static_cast<std::size_t>(pieces.groups()));
    no_linear_.resize(static_cast<std::size_t>(pieces.length()));
    pool->ParallelFor(pieces.groups(), [&](Index group, int) {
      leading_[static_cast<std::size_t>(group)] = TakeLeadingRows(factors[group], rows);
    });
  }

  void Prepare(Index row, Index group, OutputLoss* loss) const {
    const std::span<const float> weights = pieces_.Weights(row, group);
    if (leading_.empty()) {
      loss->Prepare(weights, factors_[group]);
      return;
    }
    const LeadingRows& rows = leading_[static_cast<std::size_t>(group)];
    loss->Prepare(weights, rows.leading, {.square = rows.rest, .linear = no_linear_});
  }

 private:
  const GroupPieces& pieces_;
  const GroupFactors& factors_;
  std::vector<LeadingRows> leading_;  // of each group; empty: the factors are used whole
  std::vector<double> no_linear_;
};

// Stage 2 with the release's stop, which looks at all groups of the layer: epoch by epoch, each
// taken back to where the layer as a whole stopped.
void SearchTogether(const GroupPieces& pieces, const SearchInputs& inputs, const SignSearch& search,
                    std::vector<std::unique_ptr<OutputLoss>>* losses,
                    std::vector<DaqGroup>* found) {
  Index idle = 0;
  std::vector<std::vector<SignSearchMove>> moves(found->size());
  for (Index epoch = 0; epoch < search.epochs(); ++epoch) {
    pieces.ForEach([&](Index row, Index group, int worker) {
      const std::size_t at = pieces.At(row, group);
      DaqGroup& daq = (*found)[at];
      moves[at].clear();
      if (daq.is_constant || search.IsSettled(daq.search)) return;
      OutputLoss& loss = *(*losses)[static_cast<std::size_t>(worker)];
      inputs.Prepare(row, group, &loss);
      loss.MoveTo(daq.point);
      search.RunEpoch(&loss, &daq.search, &moves[at]);
    });
    std::vector<bool> is_idle(static_cast<std::size_t>(search.iterations()), true);
    for (const std::vector<SignSearchMove>& group : moves) {
      for (const SignSearchMove& move : group)
        is_idle[static_cast<std::size_t>(move.iteration)] = false;
    }
    ++idle;
    Index last = 0;  // iteration of this epoch
    for (; last < search.iterations(); ++last) {
      idle = is_idle[static_cast<std::size_t>(last)] ? idle + 1 : 0;
      if (idle > kIdleIterations) break;
    }
    for (std::size_t at = 0; at < found->size(); ++at) {
      DaqGroup& daq = (*found)[at];
      for (const SignSearchMove& move : moves[at]) {
        if (move.iteration > last) {
          daq.search.last_move = daq.search.half_steps;  // what was tried there may yet succeed
          break;
        }
        daq.point = move.point;
      }
    }
  }
}

}  // namespace

GroupPieces::GroupPieces(const ConstMatrixView& weight, const Format& format,
                         const LayerContext& layer)
    : weight_(weight),
      pool_(layer.pool),
      groups_(GroupsPerRow(format, weight.cols(), layer.name)),
      length_(GroupLength(format, weight.cols())) {}

void GroupPieces::ForEach(
    const std::function<void(Index row, Index group, int worker)>& body) const {
  const Index items = (rows() + kRowsPerItem - 1) / kRowsPerItem;
  pool_->ParallelFor(items * groups_, [&](Index item, int worker) {
    const Index first = item % items * kRowsPerItem;
    for (Index row = first; row < std::min(first + kRowsPerItem, rows()); ++row) {
      body(row, item / items, worker);
    }
  });
}

std::vector<DaqGroup> SolveDaq(const GroupPieces& pieces, const Format& format,
                               const LayerContext& layer, const DaqOptions& options,
                               const GroupFactors* factors) {
  DAQ_CHECK(!options.searches || factors != nullptr, "a search needs inputs");
  const SignSearch search(options.search, !format.symmetric);
  std::vector<std::unique_ptr<OutputLoss>> losses;
  losses.reserve(static_cast<std::size_t>(layer.pool->threads()));
  for (int worker = 0; worker < layer.pool->threads(); ++worker)
    losses.push_back(std::make_unique<OutputLoss>(format.codebook));
  std::optional<SearchInputs> inputs;
  if (options.searches) inputs.emplace(pieces, *factors, options.search_rows, layer.pool);
  std::vector<DaqGroup> found(static_cast<std::size_t>(pieces.count()));
  pieces.ForEach([&](Index row, Index group, int worker) {
    const std::span<const float> weights = pieces.Weights(row, group);
    DaqGroup& daq = found[pieces.At(row, group)];
    daq.is_constant = IsConstant(weights);
    daq.point = daq.is_constant ? MinMaxPoint(weights.first(1), format)
                                : StartOfDaq(weights, format, options);
    CheckStorable(daq.point, format, layer.name, row);
    if (daq.is_constant || !options.searches) return;
    OutputLoss& loss = *losses[static_cast<std::size_t>(worker)];
    inputs->Prepare(row, group, &loss);
    loss.MoveTo(daq.point);
    daq.loss_start = loss.loss();
    if (!options.idle_stop) search.Run(&loss, &daq.search);
    daq.point = loss.point();
    daq.loss_end = loss.loss();
    // Last, so that the search begins with nothing looked at but its own start.
    daq.loss_minmax = LossAt(MinMaxPoint(weights, format), format, &loss);
  });
  if (!options.searches || !options.idle_stop) return found;
  SearchTogether(pieces, *inputs, search, &losses, &found);
  pieces.ForEach([&](Index row, Index group, int worker) {
    DaqGroup& daq = found[pieces.At(row, group)];
    if (daq.is_constant) return;
    OutputLoss& loss = *losses[static_cast<std::size_t>(worker)];
    inputs->Prepare(row, group, &loss);
    loss.MoveTo(daq.point);
    daq.loss_end = loss.loss();
  });
  return found;
}

RangeResult RoundedResult(const GroupPieces& pieces, const Format& format,
                          std::span<const GridPoint> points, bool with_codes) {
  RangeResult result{.grid = {.scale = MatrixF(pieces.rows(), pieces.groups()),
                              .zero_point = MatrixF(pieces.rows(), pieces.groups()),
                              .integer_zero_point = false},
                     .codes = {}};
  const auto length = static_cast<std::size_t>(pieces.length());
  if (with_codes) result.codes.resize(points.size() * length);
  const Encoder encoder(format.codebook);
  pieces.ForEach([&](Index row, Index group, int) {
    const std::size_t at = pieces.At(row, group);
    const GridPoint& point = points[at];
    result.grid.scale(row, group) = static_cast<float>(point.scale);
    result.grid.zero_point(row, group) = static_cast<float>(point.zero_point);
    if (!with_codes) return;
    encoder.Encode(point.scale, point.zero_point, pieces.Weights(row, group),
                   std::span(result.codes).subspan(at * length, length));
  });
  return result;
}

std::span<const DiagnosticSpec> DaqDiagnosticSpecs() {
  constexpr auto kSum = DiagnosticJoin::kSum;
  static constexpr std::array<DiagnosticSpec, 6> specs = {{
      {"daq.loss_minmax", kSum,
       "squared output error on the min-max grid, before stage 1: mean over tokens, sum over "
       "outputs (in groups: of each group's own part)"},
      {"daq.loss_start", kSum, "the same after stage 1, before stage 2"},
      {"daq.loss_end", kSum, "the same after stage 2"},
      {"daq.iterations", DiagnosticJoin::kMean,
       "stage 2's half-steps up to the last that moved, mean over groups"},
      {"daq.scale_moves", kSum, "steps of the scale that stage 2 took, all groups"},
      {"daq.zero_point_moves", kSum, "steps of the zero-point that stage 2 took, all groups"},
  }};
  return specs;
}

Diagnostics DaqDiagnostics(std::span<const DaqGroup> groups) {
  const auto total = [&](const auto& member) {
    return LaneSum(groups.size(),
                   [&](std::size_t i) { return static_cast<double>(member(groups[i])); });
  };
  Diagnostics diagnostics = {
      {"daq.loss_start", total([](const DaqGroup& group) { return group.loss_start; })},
      {"daq.loss_end", total([](const DaqGroup& group) { return group.loss_end; })},
      {"daq.iterations", total([](const DaqGroup& group) { return group.search.last_move; }) /
                             static_cast<double>(groups.size())},
      {"daq.scale_moves", total([](const DaqGroup& group) { return group.search.scale_moves; })},
      {"daq.zero_point_moves",
       total([](const DaqGroup& group) { return group.search.zero_point_moves; })},
  };
  const double minmax = total([](const DaqGroup& group) { return group.loss_minmax; });
  if (std::isfinite(minmax)) diagnostics.emplace("daq.loss_minmax", minmax);
  return diagnostics;
}

// Prefix sums, 8 bytes each, that a core's share of the cache holds.
constexpr double kNumbersInCache = 0.7e6;

// Rows of the factor that a search sums up.
double SearchRank(const DaqOptions& options, const LayerSize& size) {
  const double rank = size.rank(size.group_length);
  return options.search_rows == 0 ? rank : std::min(rank, static_cast<double>(options.search_rows));
}

Work DaqCost(const DaqOptions& options, const LayerSize& size) {
  if (!options.searches) return {};
  const double looks = 7.3e3 * static_cast<double>(size.codes);
  // Prefix sums of the inputs, of which each is a number read and one written, and read again.
  const double numbers = static_cast<double>(size.group_length) * SearchRank(options, size);
  const double beyond_cache = 24 * std::max(0.0, numbers - kNumbersInCache);
  return size.groups() * (Nanoseconds(looks + 0.37 * numbers) + Bytes(beyond_cache));
}

Footprint DaqMemory(const DaqOptions& options, const LayerSize& size, int threads) {
  if (!options.searches) return {};
  const double rank = size.rank(size.group_length);
  const auto inputs = static_cast<double>(size.in_features);
  // Kept: the factors. Besides: what they are made from, rows rotated by eigenvectors or a Gram
  // matrix, or each thread's prefix sums of a search.
  const double making = 2 * inputs * rank + (size.tokens < size.group_length ? 2 * rank * rank : 0);
  const double searched = SearchRank(options, size);
  const double leading = options.search_rows == 0 ? 0 : inputs * searched;
  const double sums = leading + threads * static_cast<double>(size.group_length) * searched;
  return {.kept = sizeof(double) * inputs * rank,
          .scratch = size.weights() + sizeof(double) * std::max(making, sums)};
}

}  // namespace daq
