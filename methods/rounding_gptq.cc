// GPTQ (arXiv 2210.17323), as IST-DASLab/gptq's gptq.py does it: column after column is rounded to
// its nearest code, and what that does to the layer's outputs is made good, as far as it can be, in
// the columns still to come.
//
// With H^-1 = U^T U, U upper triangular (InverseFactorOf), rounding column p of a row w to q leaves
// err = (w[p] - q) / U[p, p], and every later column j becomes w[j] - err * U[p, j]. Columns are
// taken in blocks: inside a block the correction is applied at once, to what lies behind it by one
// matrix product at its end. Rows are independent of each other given U.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/float_product.h"
#include "base/reduce.h"
#include "methods/encode.h"
#include "methods/inverse_factor.h"
#include "methods/lane_encoder.h"
#include "methods/rounding.h"
#include "methods/settings.h"

namespace daq {
namespace {

constexpr Index kLanes = static_cast<Index>(LaneEncoder::kLanes);
// Pieces of the products.
constexpr Index kRowsPerProduct = 1024;
constexpr Index kColumnsPerProduct = 1024;

Index Pieces(Index size, Index piece) { return (size + piece - 1) / piece; }

struct GptqOptions {
  double damp_percent = 0;
  bool act_order = false;
  bool static_groups = false;
  Index block_size = 0;
};

// One layer on its way.
class GptqRun {
 public:
  GptqRun(const GptqOptions& options, const ConstMatrixView& weight, const Range& range,
          const Format& format, const LayerContext& layer)
      : options_(options),
        range_(range),
        format_(format),
        layer_(layer),
        rows_(weight.rows()),
        columns_(weight.cols()),
        groups_(GroupsPerRow(format, weight.cols(), layer.name)),
        factor_(InverseFactorOf(layer, options.damp_percent, options.act_order)),
        order_(factor_.order.begin(), factor_.order.end()),
        by_group_(format.group_size != 0),
        // Groups of positions, not of features: what is then stored needs its column order.
        ordered_groups_(options.act_order && by_group_ && !options.static_groups),
        encoder_(format.codebook),
        codes_(static_cast<std::size_t>(weight.size())),
        losses_(static_cast<std::size_t>(rows_)),
        range_diagnostics_(range.diagnostics()) {
    grid_ = {.scale = MatrixF::Ones(rows_, groups_), .zero_point = MatrixF::Zero(rows_, groups_)};
    FindUpFront(weight);
    Permute(weight);
  }

  RoundingResult Run() {
    for (Index begin = 0; begin < columns_; begin += options_.block_size) {
      const Index end = std::min(begin + options_.block_size, columns_);
      if (by_group_ && !options_.static_groups) FindReached(begin, end);
      RoundBlock(begin, end);
      CorrectRest(begin, end);
    }
    return Finish();
  }

 private:
  // By channel on the weights as they are; static groups with dead columns set to 0, as the
  // authors' code has it.
  void FindUpFront(const ConstMatrixView& weight) {
    if (by_group_ && !options_.static_groups) return;
    RangeResult found;
    if (by_group_ && !factor_.dead.empty()) {
      MatrixF alive = weight;
      for (const Index column : factor_.dead) alive.col(column).setZero();
      found = range_.Find(alive, format_, layer_);
    } else {
      found = range_.Find(weight, format_, layer_);
    }
    grid_ = std::move(found.grid);
    range_diagnostics_.Add(found.diagnostics, static_cast<double>(groups_));
  }

  // The columns in order of work, dead ones set to 0.
  void Permute(const ConstMatrixView& weight) {
    work_.resize(rows_, columns_);
    errors_.resize(rows_, std::min(options_.block_size, columns_));
    std::vector<bool> is_dead(order_.size(), false);
    for (const std::int32_t column : factor_.dead) is_dead[static_cast<std::size_t>(column)] = true;
    layer_.pool->ParallelFor(Pieces(rows_, kLanes), [&](Index item, int) {
      for (Index row = item * kLanes; row < std::min((item + 1) * kLanes, rows_); ++row) {
        for (Index p = 0; p < columns_; ++p) {
          const Index column = Feature(p);
          work_(row, p) = is_dead[static_cast<std::size_t>(column)] ? 0.0F : weight(row, column);
        }
      }
    });
  }

  // The groups that begin in [begin, end), on the weights as the blocks before left them: what this
  // block does to its own later columns is not in them yet. That is when the authors' code looks.
  void FindReached(Index begin, Index end) {
    const Index size = format_.group_size;
    const Index first = Pieces(begin, size);
    const Index count = Pieces(end, size) - first;
    if (count == 0) return;
    LayerContext layer = layer_;
    layer.columns = std::span(order_).subspan(static_cast<std::size_t>(first * size),
                                              static_cast<std::size_t>(count * size));
    const RangeResult found =
        range_.Find(work_.middleCols(first * size, count * size), format_, layer);
    grid_.scale.middleCols(first, count) = found.grid.scale;
    grid_.zero_point.middleCols(first, count) = found.grid.zero_point;
    grid_.integer_zero_point =
        found.grid.integer_zero_point && (first == 0 || grid_.integer_zero_point);
    range_diagnostics_.Add(found.diagnostics, static_cast<double>(count));
  }

  void RoundBlock(Index begin, Index end) {
    layer_.pool->ParallelFor(Pieces(rows_, kLanes), [&](Index item, int) {
      RoundRows(item * kLanes, std::min(kLanes, rows_ - item * kLanes), begin, end);
    });
  }

  // Columns [begin, end) of `count` rows side by side; lanes beyond them repeat the last.
  void RoundRows(Index first_row, Index count, Index begin, Index end) {
    std::vector<LaneEncoder::Floats> lanes(static_cast<std::size_t>(end - begin));
    for (Index lane = 0; lane < kLanes; ++lane) {
      const float* from = work_.row(first_row + std::min(lane, count - 1)).data() + begin;
      for (std::size_t i = 0; i < lanes.size(); ++i)
        lanes[i][static_cast<std::size_t>(lane)] = from[i];
    }
    LaneEncoder encoder(encoder_);
    std::array<double, LaneEncoder::kLanes> loss{};
    Index group = -1;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      const Index position = begin + static_cast<Index>(i);
      if (std::exchange(group, Group(position)) != group)
        SetGrids(first_row, count, group, &encoder);
      LaneEncoder::Codes codes;
      LaneEncoder::Floats error;
      encoder.Encode(lanes[i], &codes, &error);
      const float* u = factor_.upper.row(position).data() + position;
      for (std::size_t lane = 0; lane < LaneEncoder::kLanes; ++lane) {
        error[lane] = (lanes[i][lane] - error[lane]) / u[0];
        loss[lane] += static_cast<double>(error[lane]) * static_cast<double>(error[lane]);
      }
      for (std::size_t j = i + 1; j < lanes.size(); ++j) {
        const float factor = u[j - i];
        for (std::size_t lane = 0; lane < LaneEncoder::kLanes; ++lane)
          lanes[j][lane] -= error[lane] * factor;
      }
      const Index stored = ordered_groups_ ? position : Feature(position);
      for (Index lane = 0; lane < count; ++lane) {
        const auto at = static_cast<std::size_t>(lane);
        errors_(first_row + lane, position - begin) = error[at];
        codes_[static_cast<std::size_t>((first_row + lane) * columns_ + stored)] = codes[at];
      }
    }
    for (Index lane = 0; lane < count; ++lane)
      AddLoss(first_row + lane, loss[static_cast<std::size_t>(lane)]);
  }

  void SetGrids(Index first_row, Index count, Index group, LaneEncoder* encoder) const {
    for (Index lane = 0; lane < kLanes; ++lane) {
      const Index row = first_row + std::min(lane, count - 1);
      encoder->SetGrid(static_cast<std::size_t>(lane), static_cast<double>(grid_.scale(row, group)),
                       static_cast<double>(grid_.zero_point(row, group)));
    }
  }

  void AddLoss(Index row, double loss) {
    if (!std::isfinite(loss)) {
      throw InputError({layer_.name}, fmt::format("weight[{}]", row),
                       "weights whose GPTQ corrections fit in float32", "an overflow");
    }
    losses_[static_cast<std::size_t>(row)] += loss;
  }

  // What lies behind the block: minus the block's errors times its rows of U.
  void CorrectRest(Index begin, Index end) {
    const Index row_pieces = Pieces(rows_, kRowsPerProduct);
    const Index column_pieces = Pieces(columns_ - end, kColumnsPerProduct);
    layer_.pool->ParallelFor(row_pieces * column_pieces, [&](Index item, int) {
      const Index row = item % row_pieces * kRowsPerProduct;
      const Index column = end + item / row_pieces * kColumnsPerProduct;
      const Index width = std::min(kColumnsPerProduct, columns_ - column);
      const Index height = std::min(kRowsPerProduct, rows_ - row);
      SubtractProduct(errors_.block(row, 0, height, end - begin),
                      factor_.upper.block(begin, column, end - begin, width),
                      work_.block(row, column, height, width));
    });
  }

  RoundingResult Finish() {
    Diagnostics diagnostics = range_diagnostics_.Values();
    diagnostics["gptq.damp_percent"] = factor_.damp_percent;
    diagnostics["gptq.dead_columns"] = static_cast<double>(factor_.dead.size());
    diagnostics["gptq.error"] = Sum(losses_) / 2;
    diagnostics["gptq.trace"] = factor_.trace;
    RoundingResult result{.matrix = Pack(format_, rows_, columns_, codes_, std::move(grid_)),
                          .diagnostics = std::move(diagnostics)};
    if (ordered_groups_) result.matrix.column_order = factor_.order;
    return result;
  }

  Index Feature(Index position) const { return order_[static_cast<std::size_t>(position)]; }

  Index Group(Index position) const {
    if (!by_group_) return 0;
    return (ordered_groups_ ? position : Feature(position)) / format_.group_size;
  }

  GptqOptions options_;
  const Range& range_;
  const Format& format_;
  const LayerContext& layer_;
  Index rows_;
  Index columns_;
  Index groups_;
  const InverseFactor& factor_;
  std::vector<Index> order_;
  bool by_group_;
  bool ordered_groups_;
  Encoder encoder_;
  MatrixF work_;    // [rows_, columns_], columns in order of work
  MatrixF errors_;  // [rows_, block_size] of the block at hand
  Grid grid_;
  std::vector<std::uint8_t> codes_;  // [rows_, columns_] in stored order
  std::vector<double> losses_;       // by row, sum of err^2
  JoinedDiagnostics range_diagnostics_;
};

class Gptq final : public Rounding {
 public:
  explicit Gptq(const Settings& settings)
      : options_{.damp_percent = GetDouble(settings, "damp_percent"),
                 .act_order = GetBool(settings, "act_order"),
                 .static_groups = GetBool(settings, "static_groups"),
                 .block_size = GetInt(settings, "block_size")} {}

  bool needs_statistics() const override { return true; }

  std::span<const DiagnosticSpec> diagnostics() const override {
    constexpr auto kMean = DiagnosticJoin::kMean;
    static constexpr std::array<DiagnosticSpec, 4> specs = {{
        {"gptq.error", DiagnosticJoin::kSum,
         "squared output error, mean over tokens, sum over outputs, plus damping, as it ends"},
        {"gptq.damp_percent", kMean, "damping used, in units of the mean diagonal of H"},
        {"gptq.dead_columns", kMean, "features whose inputs are all 0"},
        {"gptq.trace", kMean, "trace of H = 2 / tokens * X^T X before damping"},
    }};
    return specs;
  }

  // The products that correct later columns, the factor of H in double, and a column's steps.
  Work Cost(const LayerSize& size) const override {
    const auto inputs = static_cast<double>(size.in_features);
    const Work factor = InverseFactorWork(size.in_features, size.tokens);
    // Products of 128 columns run at two thirds of the rate of large ones.
    return size.weights() * (Products(1.5 * inputs) + Nanoseconds(11)) +
           (size.is_first_of_input ? 1.0 : 0.0) * factor;
  }

  // Kept: U. Besides: the weights that corrections change, codes, and what U is made from.
  Footprint Memory(const LayerSize& size, int) const override {
    const auto inputs = static_cast<double>(size.in_features);
    const Footprint factor = InverseFactorMemory(size.in_features, size.tokens);
    return {.kept = factor.kept,
            .scratch = 5 * size.weights() + factor.scratch +
                       4 * static_cast<double>(options_.block_size) * inputs};
  }

  RoundingResult Quantize(const ConstMatrixView& weight, const Range& range, const Format& format,
                          const LayerContext& layer) const override {
    return GptqRun(options_, weight, range, format, layer).Run();
  }

 private:
  GptqOptions options_;
};

}  // namespace

std::span<const SettingSpec> GptqSettings();
std::unique_ptr<Rounding> MakeGptq(const Settings& settings);

std::span<const SettingSpec> GptqSettings() {
  static const std::array<SettingSpec, 4> specs = {
      SettingSpec{.name = "damp_percent",
                  .default_value = 0.01,
                  .lowest = 0,
                  .highest = 10,
                  .meaning = "this times the mean diagonal of H is added to its diagonal (0.01 is "
                             "1 %): more trusts the calibration inputs less",
                  .source = "IST-DASLab/gptq, percdamp=.01"},
      SettingSpec{.name = "act_order",
                  .default_value = false,
                  .meaning = "columns are rounded by falling diagonal of H, so that inputs of much "
                             "energy go first; else as they lie",
                  .source = "IST-DASLab/gptq, --act-order, off unless given"},
      SettingSpec{.name = "static_groups",
                  .default_value = false,
                  .meaning = "groups get their ranges before any column is rounded, from the "
                             "columns as they lie; else when they are reached, from corrected "
                             "weights in order of work",
                  .source = "IST-DASLab/gptq, --static-groups, off unless given"},
      SettingSpec{.name = "block_size",
                  .default_value = std::int64_t{128},
                  .lowest = 1,
                  .highest = 1024,
                  .meaning = "columns between two corrections of all later ones: changes only "
                             "rounding, and what a group's range sees that begins inside a block",
                  .source = "IST-DASLab/gptq, blocksize=128"}};
  return specs;
}

std::unique_ptr<Rounding> MakeGptq(const Settings& settings) {
  return std::make_unique<Gptq>(settings);
}

}  // namespace daq
