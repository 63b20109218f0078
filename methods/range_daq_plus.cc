// Beyond DAQ: its objective with a penalty that keeps few tokens from being learnt by heart, a
// better search, and groups that know of each other. docs/daq.md.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/reduce.h"
#include "methods/cross_terms.h"
#include "methods/daq.h"
#include "methods/grid_search.h"
#include "methods/minmax_grid.h"
#include "methods/range.h"

namespace daq {
namespace {

constexpr Index kTileRows = 32;  // rows whose groups are solved together

struct PlusOptions {
  DaqOptions daq;
  GridSearchOptions grid;
  bool penalty_by_tokens = true;
  double penalty_tokens = 0;
  double penalty_weight = 0;
  bool joint_groups = true;
  Index sweeps = 1;
};

// One layer's work: what all rows share.
struct PlusLayer {
  const GroupPieces& pieces;
  const Format& format;
  const GroupFactors& factors;
  const GridSearch& search;
  const Encoder& encoder;
  const std::vector<DaqGroup>& daq;  // for each group
  // For each column: lambda * mean over tokens of x^2. Empty where neither this nor `cross` adds
  // anything.
  std::vector<double> penalty;
  const CrossTerms* cross;  // null: groups are independent
};

// Scratch of one thread.
struct PlusScratch {
  explicit PlusScratch(const Codebook& book) : loss(book) {}
  OutputLoss loss;
  std::vector<std::uint8_t> codes;
};

// The result of one row, with the loss that it minimises.
struct PlusRow {
  std::vector<GridPoint> points;
  double loss = 0;
};

// error = w' - w of a group.
void ErrorOf(const GridPoint& point, std::span<const float> weights, const PlusLayer& layer,
             std::vector<std::uint8_t>* codes, double* error) {
  codes->resize(weights.size());
  layer.encoder.Encode(point.scale, point.zero_point, weights, *codes);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto value = static_cast<double>(layer.format.codebook.values[(*codes)[i]]);
    error[i] = (value - point.zero_point) * point.scale - static_cast<double>(weights[i]);
  }
}

// The rows [first, first + count), solved in one piece.
class PlusTile {
 public:
  PlusTile(const PlusLayer& layer, Index first, Index count, PlusScratch* scratch)
      : layer_(layer),
        first_(first),
        count_(count),
        groups_(layer.pieces.groups()),
        length_(layer.pieces.length()),
        scratch_(scratch) {}

  // Every group on its own, from DAQ's point. `losses` receives each row's sum of DAQ's losses.
  std::vector<PlusRow> Independent(std::vector<double>* daq_losses) {
    std::vector<PlusRow> rows(static_cast<std::size_t>(count_));
    daq_losses->assign(rows.size(), 0);
    const std::vector<double> no_linear(static_cast<std::size_t>(length_));
    for (Index group = 0; group < groups_; ++group) {
      for (Index row = 0; row < count_; ++row) {
        const DaqGroup& daq = layer_.daq[layer_.pieces.At(first_ + row, group)];
        PlusRow& result = rows[static_cast<std::size_t>(row)];
        if (!daq.is_constant) {
          Prepare(row, group, no_linear, daq.point);
          (*daq_losses)[static_cast<std::size_t>(row)] += scratch_->loss.loss();
          layer_.search.Improve(layer_.pieces.Weights(first_ + row, group), &scratch_->loss);
          result.loss += scratch_->loss.loss();
        }
        result.points.push_back(daq.is_constant ? daq.point : scratch_->loss.point());
      }
    }
    return rows;
  }

  // Each row's whole loss: of its summed output, and the penalty.
  VectorD WholeLosses(const std::vector<PlusRow>& rows) {
    MatrixD error = Errors(rows);
    return WholeLosses(CrossTerms::Tile(*layer_.cross, &error), error);
  }

  // Sweeps over the groups, each solved with the others as they are.
  void SolveJointly(Index sweeps, std::vector<PlusRow>* rows) {
    MatrixD error = Errors(*rows);
    CrossTerms::Tile cross(*layer_.cross, &error);
    MatrixD linear(count_, length_);
    std::vector<double> row_linear(static_cast<std::size_t>(length_));
    for (Index sweep = 0; sweep < sweeps; ++sweep) {
      for (Index group = 0; group < groups_; ++group) {
        cross.Linear(group * length_, &linear);
        MatrixD replacement = error.middleCols(group * length_, length_);
        for (Index row = 0; row < count_; ++row) {
          if (layer_.daq[layer_.pieces.At(first_ + row, group)].is_constant) continue;
          GridPoint& point =
              (*rows)[static_cast<std::size_t>(row)].points[static_cast<std::size_t>(group)];
          std::copy_n(linear.row(row).data(), length_, row_linear.begin());
          Prepare(row, group, row_linear, point);
          const std::span<const float> weights = layer_.pieces.Weights(first_ + row, group);
          layer_.search.Improve(weights, &scratch_->loss);
          point = scratch_->loss.point();
          ErrorOf(point, weights, layer_, &scratch_->codes, replacement.row(row).data());
        }
        cross.Replace(group * length_, replacement);
      }
    }
    const VectorD losses = WholeLosses(cross, error);
    for (Index row = 0; row < count_; ++row)
      (*rows)[static_cast<std::size_t>(row)].loss = losses[row];
  }

 private:
  void Prepare(Index row, Index group, const std::vector<double>& linear, const GridPoint& point) {
    WeightTerms terms;
    if (!layer_.penalty.empty()) {
      terms = {.square = Penalty(group), .linear = linear};
    }
    scratch_->loss.Prepare(layer_.pieces.Weights(first_ + row, group), layer_.factors[group],
                           terms);
    scratch_->loss.MoveTo(point);
  }

  std::span<const double> Penalty(Index group) const {
    return std::span(layer_.penalty)
        .subspan(static_cast<std::size_t>(group * length_), static_cast<std::size_t>(length_));
  }

  MatrixD Errors(const std::vector<PlusRow>& rows) {
    MatrixD error(count_, groups_ * length_);
    for (Index row = 0; row < count_; ++row) {
      for (Index group = 0; group < groups_; ++group) {
        ErrorOf(rows[static_cast<std::size_t>(row)].points[static_cast<std::size_t>(group)],
                layer_.pieces.Weights(first_ + row, group), layer_, &scratch_->codes,
                error.row(row).data() + group * length_);
      }
    }
    return error;
  }

  VectorD WholeLosses(const CrossTerms::Tile& cross, const MatrixD& error) const {
    VectorD losses = cross.Losses();
    for (Index row = 0; row < count_; ++row) {
      const double* e = error.row(row).data();
      losses[row] += LaneSum(layer_.penalty.size(),
                             [&](std::size_t i) { return layer_.penalty[i] * e[i] * e[i]; });
    }
    return losses;
  }

  const PlusLayer& layer_;
  Index first_;
  Index count_;
  Index groups_;
  Index length_;
  PlusScratch* scratch_;
};

class DaqPlus final : public Range {
 public:
  explicit DaqPlus(const PlusOptions& options) : options_(options) {}

  void CheckFormat(const Format& format) const override { CheckGridFormat(format); }

  std::string Explain(const Format& format) const override {
    return fmt::format("{}; then {} x {} grid points and {} local steps; penalty {}; groups {}",
                       ExplainDaq(options_.daq, format), options_.grid.scales,
                       format.symmetric ? 1 : options_.grid.zero_points, options_.grid.local_steps,
                       options_.penalty_by_tokens
                           ? fmt::format("{} / tokens", options_.penalty_tokens)
                           : fmt::format("{}", options_.penalty_weight),
                       options_.joint_groups && format.group_size != 0
                           ? fmt::format("solved jointly, {} sweeps", options_.sweeps)
                           : std::string("solved on their own"));
  }

  bool needs_statistics() const override { return true; }

  std::span<const DiagnosticSpec> diagnostics() const override {
    constexpr std::array<DiagnosticSpec, 3> kOwn = {{
        {"daq_plus.lambda", DiagnosticJoin::kMean,
         "weight of the penalty, the same for all groups"},
        {"daq_plus.loss_daq", DiagnosticJoin::kSum,
         "squared output error, mean over tokens, sum over outputs, plus the penalty, at DAQ's "
         "result"},
        {"daq_plus.loss_end", DiagnosticJoin::kSum, "the same at its own result"},
    }};
    static const std::vector<DiagnosticSpec> specs = [&] {
      const std::span<const DiagnosticSpec> daq = DaqDiagnosticSpecs();
      std::vector<DiagnosticSpec> all(daq.begin(), daq.end());
      all.insert(all.end(), kOwn.begin(), kOwn.end());
      return all;
    }();
    return specs;
  }

  // Looks at a group's loss, each for itself and in every sweep.
  Work Cost(const LayerSize& size) const override {
    const bool joint = options_.joint_groups && size.group_length < size.in_features;
    const auto searches = static_cast<double>(1 + (joint ? options_.sweeps : 0));
    const auto looks = static_cast<double>(options_.grid.scales * options_.grid.zero_points +
                                           options_.grid.local_steps);
    return DaqCost(options_.daq, size) +
           Nanoseconds(size.groups() * searches * looks * 20 * static_cast<double>(size.codes));
  }

  Footprint Memory(const LayerSize& size, int threads) const override {
    return DaqMemory(options_.daq, size, threads);
  }

  RangeResult Find(const ConstMatrixView& weight, const Format& format,
                   const LayerContext& layer) const override {
    DAQ_CHECK(layer.statistics != nullptr, "the search needs inputs");
    const GroupPieces pieces(weight, format, layer);
    const GroupFactors factors(*layer.statistics, weight.cols(), layer.columns, pieces.length(),
                               layer.pool);
    const std::vector<DaqGroup> daq = SolveDaq(pieces, format, layer, options_.daq, &factors);
    const GridSearch search(options_.grid, format);
    const Encoder encoder(format.codebook);
    std::optional<CrossTerms> cross;
    if (options_.joint_groups && pieces.groups() > 1)
      cross.emplace(*layer.statistics, weight.cols(), layer.columns, layer.pool);
    const double lambda = Lambda(*layer.statistics);
    const PlusLayer plus{.pieces = pieces,
                         .format = format,
                         .factors = factors,
                         .search = search,
                         .encoder = encoder,
                         .daq = daq,
                         .penalty = lambda == 0 && !cross ? std::vector<double>()
                                                          : PenaltyOf(weight.cols(), layer, lambda),
                         .cross = cross ? &*cross : nullptr};
    std::vector<double> daq_losses(static_cast<std::size_t>(weight.rows()));
    const std::vector<PlusRow> rows = Solve(plus, layer.pool, &daq_losses);
    std::vector<GridPoint> points;
    points.reserve(static_cast<std::size_t>(pieces.count()));
    for (const PlusRow& row : rows)
      points.insert(points.end(), row.points.begin(), row.points.end());
    RangeResult result = RoundedResult(pieces, format, points, true);
    if (options_.daq.searches) result.diagnostics = DaqDiagnostics(daq);
    result.diagnostics["daq_plus.lambda"] = lambda;
    result.diagnostics["daq_plus.loss_daq"] = Sum(daq_losses);
    result.diagnostics["daq_plus.loss_end"] =
        LaneSum(rows.size(), [&](std::size_t row) { return rows[row].loss; });
    return result;
  }

 private:
  double Lambda(const LayerStatistics& statistics) const {
    return options_.penalty_by_tokens
               ? options_.penalty_tokens / static_cast<double>(statistics.tokens())
               : options_.penalty_weight;
  }

  static std::vector<double> PenaltyOf(Index columns, const LayerContext& layer, double lambda) {
    const VectorD squares = layer.statistics->mean_square();
    std::vector<double> penalty(static_cast<std::size_t>(columns));
    for (std::size_t i = 0; i < penalty.size(); ++i) {
      const Index feature = layer.columns.empty() ? static_cast<Index>(i) : layer.columns[i];
      penalty[i] = lambda * squares[feature];
    }
    return penalty;
  }

  // daq_losses: DAQ's own, of what is minimised.
  std::vector<PlusRow> Solve(const PlusLayer& layer, ThreadPool* pool,
                             std::vector<double>* daq_losses) const {
    const Index rows = layer.pieces.rows();
    std::vector<PlusRow> solved(static_cast<std::size_t>(rows));
    std::vector<std::unique_ptr<PlusScratch>> scratch;
    scratch.reserve(static_cast<std::size_t>(pool->threads()));
    for (int worker = 0; worker < pool->threads(); ++worker)
      scratch.push_back(std::make_unique<PlusScratch>(layer.format.codebook));
    pool->ParallelFor((rows + kTileRows - 1) / kTileRows, [&](Index item, int worker) {
      const Index first = item * kTileRows;
      const Index count = std::min(kTileRows, rows - first);
      PlusTile tile(layer, first, count, scratch[static_cast<std::size_t>(worker)].get());
      std::vector<double> losses;
      std::vector<PlusRow> found = tile.Independent(&losses);
      if (layer.cross != nullptr) {
        losses = StartJointly(layer, first, &tile, &found);
        tile.SolveJointly(options_.sweeps, &found);
      }
      for (Index row = 0; row < count; ++row) {
        const auto at = static_cast<std::size_t>(row);
        solved[static_cast<std::size_t>(first + row)] = std::move(found[at]);
        (*daq_losses)[static_cast<std::size_t>(first + row)] = losses[at];
      }
    });
    return solved;
  }

  // What is best for each group need not be for their sum: a row begins with DAQ's points or the
  // independent ones, whichever have the smaller whole loss. Returns DAQ's whole losses.
  static std::vector<double> StartJointly(const PlusLayer& layer, Index first, PlusTile* tile,
                                          std::vector<PlusRow>* rows) {
    std::vector<PlusRow> daq(rows->size());
    for (std::size_t row = 0; row < daq.size(); ++row) {
      for (Index group = 0; group < layer.pieces.groups(); ++group) {
        daq[row].points.push_back(
            layer.daq[layer.pieces.At(first + static_cast<Index>(row), group)].point);
      }
    }
    const VectorD daq_loss = tile->WholeLosses(daq);
    const VectorD own_loss = tile->WholeLosses(*rows);
    for (std::size_t row = 0; row < daq.size(); ++row) {
      const auto at = static_cast<Index>(row);
      if (daq_loss[at] < own_loss[at]) (*rows)[row] = std::move(daq[row]);
    }
    return {daq_loss.begin(), daq_loss.end()};
  }

  PlusOptions options_;
};

std::vector<SettingSpec> OwnSpecs() {
  return {
      {.name = "penalty",
       .default_value = std::string("by_tokens"),
       .choices = {"by_tokens", "fixed"},
       .meaning = "the loss has lambda * sum of h_i (w'_i - w_i)^2 added, h_i the mean square of "
                  "input i: lambda = penalty_tokens / tokens, or penalty_weight",
       .source = "this project: few calibration tokens are overfitted, many are not"},
      {.name = "penalty_tokens",
       .default_value = 204.8,
       .lowest = 0,
       .highest = 1e9,
       .needs = {{"penalty", {"by_tokens"}}},
       .meaning = "penalty by_tokens: the more, the less the calibration tokens' correlations "
                  "count; 0 = no penalty",
       .source = "this project: measured on the demo model, results/demo-penalty.md"},
      {.name = "penalty_weight",
       .default_value = 0.4,
       .lowest = 0,
       .highest = 1e9,
       .needs = {{"penalty", {"fixed"}}},
       .meaning = "penalty fixed: lambda; 0 = no penalty",
       .source = "this project, as penalty_tokens"},
      {.name = "joint_groups",
       .default_value = true,
       .meaning = "groups of a row are solved for the row's whole output, not each for its own "
                  "part; nothing else by channel",
       .source = "this project; DAQ solves them independently"},
      {.name = "sweeps",
       .default_value = std::int64_t{1},
       .lowest = 1,
       .highest = 100,
       .needs = {{"joint_groups", {"true"}}},
       .meaning = "joint_groups: rounds over the groups of a row",
       .source = "this project: the first gives most"},
      {.name = "grid_scales",
       .default_value = std::int64_t{40},
       .lowest = 1,
       .highest = 10000,
       .meaning = "scales tried, from 0.3 to 1.1 of the min-max range's",
       .source = "this project"},
      {.name = "grid_zero_points",
       .default_value = std::int64_t{25},
       .lowest = 1,
       .highest = 10000,
       .meaning = "grid centres tried with each scale, within a quarter of half the weights' range "
                  "of their dense centre",
       .source = "this project"},
      {.name = "local_steps",
       .default_value = std::int64_t{1000},
       .lowest = 0,
       .highest = 1000000,
       .meaning = "random steps from the best point, of 5 % down to 0.01 %, each taken if it "
                  "improves",
       .source = "this project"},
  };
}

}  // namespace

std::span<const SettingSpec> DaqPlusSettings();
std::unique_ptr<Range> MakeDaqPlus(const Settings& settings);

std::span<const SettingSpec> DaqPlusSettings() {
  static const std::vector<SettingSpec> specs = [] {
    std::vector<SettingSpec> all = OwnSpecs();
    for (const SettingSpec& spec : DaqSettings()) all.push_back(spec);
    return all;
  }();
  return specs;
}

std::unique_ptr<Range> MakeDaqPlus(const Settings& settings) {
  return std::make_unique<DaqPlus>(PlusOptions{
      .daq = ReadDaqOptions(settings),
      .grid = {.scales = GetInt(settings, "grid_scales"),
               .zero_points = GetInt(settings, "grid_zero_points"),
               .local_steps = GetInt(settings, "local_steps")},
      .penalty_by_tokens = GetString(settings, "penalty") == "by_tokens",
      .penalty_tokens = GetDouble(settings, "penalty_tokens"),
      .penalty_weight = GetDouble(settings, "penalty_weight"),
      .joint_groups = GetBool(settings, "joint_groups"),
      .sweeps = GetInt(settings, "sweeps"),
  });
}

}  // namespace daq
