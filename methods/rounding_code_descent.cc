// Coordinate descent on codes: given the range's grid, the codes of a row are changed one at a
// time, each to the value that is best while all others stay, until none changes.
//
// For a row with errors e = w' - w and the Gram matrix G of the inputs, the objective is
//     e^T G e + damping * sum over c of G_cc e_c^2,   damping = damping_tokens / tokens:
// the squared error of the layer's output on the calibration tokens, and a share of the same with
// inputs taken as uncorrelated, which keeps few tokens from being fitted for their own sake. As a
// function of one e_c it is a parabola, least at -b / ((1 + damping) G_cc) with
// b = (G e)_c - G_cc e_c, so the best value is the code nearest to that. Rows are independent.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/blas.h"
#include "base/error.h"
#include "base/reduce.h"
#include "methods/encode.h"
#include "methods/nearest_codes.h"
#include "methods/rounding.h"
#include "methods/settings.h"

namespace daq {
namespace {

// Rows that go through the Gram matrix together: each of its rows is read once for all of them.
constexpr Index kRowsPerItem = 32;
// G e is kept up to date at once inside a block of columns, and for all others at its end.
constexpr Index kBlock = 128;
constexpr Index kSegment = 256;  // columns of the Gram matrix's block that stay in the cache
// A change must lower the objective by this share of the terms that it weighs, each with a few
// roundings of 2^-53: below it the gain would be rounding, and two codes could take turns for ever.
constexpr double kLeastGain = 1e-13;

struct Change {
  Index column;
  double difference;  // of e
};

// A row's part of the result; sums over rows are diagnostics.
struct RowOutcome {
  double loss_start = 0;
  double loss_end = 0;
  Index changes = 0;
  Index sweeps = 0;
};

// kRowsPerItem rows of a layer on their way, by one thread.
class RowDescent {
 public:
  RowDescent(const ConstMatrixView& weight, const Format& format, const Grid& grid,
             const MatrixD& gram, double damping, Index first_row)
      : weight_(weight),
        encoder_(format.codebook),
        grid_(grid),
        gram_(gram),
        damping_(damping),
        length_(GroupLength(format, weight.cols())),
        first_row_(first_row),
        count_(std::min(kRowsPerItem, weight.rows() - first_row)),
        error_(count_, weight.cols()),
        product_(count_, weight.cols()),
        thresholds_(format.codebook.values.size() - 1),
        changes_(static_cast<std::size_t>(count_)) {}

  // Improves the codes of its rows, row-major [count, columns], in at most `sweeps` passes.
  void Run(std::int64_t sweeps, std::span<std::uint8_t> codes, std::span<RowOutcome> outcomes) {
    for (Index row = 0; row < count_; ++row) {
      for (Index column = 0; column < columns(); ++column)
        error_(row, column) = ErrorOf(row, column, codes[At(row, column)]);
    }
    Multiply(error_, gram_, product_);
    for (Index row = 0; row < count_; ++row) outcomes[Place(row)].loss_start = Loss(row);
    std::vector<Index> active(static_cast<std::size_t>(count_));
    for (Index row = 0; row < count_; ++row) active[Place(row)] = row;
    for (std::int64_t sweep = 0; sweep < sweeps && !active.empty(); ++sweep)
      Sweep(&active, codes, outcomes);
    for (Index row = 0; row < count_; ++row) outcomes[Place(row)].loss_end = Loss(row);
  }

 private:
  // Once over all columns of the active rows; rows without a change leave.
  void Sweep(std::vector<Index>* active, std::span<std::uint8_t> codes,
             std::span<RowOutcome> outcomes) {
    std::vector<Index> before(static_cast<std::size_t>(count_));
    for (const Index row : *active) before[Place(row)] = outcomes[Place(row)].changes;
    for (Index begin = 0; begin < columns(); begin += kBlock) {
      const Index end = std::min(begin + kBlock, columns());
      for (const Index row : *active) {
        DescendBlock(row, begin, end, codes);
        outcomes[Place(row)].changes += static_cast<Index>(changes_[Place(row)].size());
      }
      UpdateProducts(*active, 0, begin);
      UpdateProducts(*active, end, columns());
    }
    for (const Index row : *active) ++outcomes[Place(row)].sweeps;
    std::erase_if(*active,
                  [&](Index row) { return outcomes[Place(row)].changes == before[Place(row)]; });
  }

  void DescendBlock(Index row, Index begin, Index end, std::span<std::uint8_t> codes) {
    std::vector<Change>& changes = changes_[Place(row)];
    changes.clear();
    Index group = -1;
    for (Index column = begin; column < end; ++column) {
      if (std::exchange(group, column / length_) != group) {
        encoder_.Thresholds(static_cast<double>(grid_.scale(first_row_ + row, group)),
                            static_cast<double>(grid_.zero_point(first_row_ + row, group)),
                            thresholds_);
      }
      const double curvature = (1 + damping_) * gram_(column, column);
      if (!(curvature > 0)) continue;  // an input that is always 0: no code is better than another
      const double old_error = error_(row, column);
      const double others = product_(row, column) - gram_(column, column) * old_error;
      const double best =
          static_cast<double>(weight_(first_row_ + row, column)) - others / curvature;
      const auto code = static_cast<std::uint8_t>(CodeAmong(thresholds_, static_cast<float>(best)));
      std::uint8_t& held = codes[At(row, column)];
      if (code == held) continue;
      const double new_error = ErrorOf(row, column, code);
      const double difference = new_error - old_error;
      const double slope = curvature * (new_error + old_error) + 2 * others;
      const double weighed =
          curvature * (std::abs(new_error) + std::abs(old_error)) + 2 * std::abs(others);
      // The objective changes by difference * slope.
      if (!(difference * slope < -kLeastGain * std::abs(difference) * weighed)) continue;
      held = code;
      error_(row, column) = new_error;
      AddRow(gram_.row(column).data(), difference, begin, end, row);
      changes.push_back({column, difference});
    }
  }

  // G e of the columns [begin, end) after the block's changes. Four changes at once, so that the
  // products are read and written a quarter as often.
  void UpdateProducts(const std::vector<Index>& active, Index begin, Index end) {
    for (Index first = begin; first < end; first += kSegment) {
      const Index last = std::min(first + kSegment, end);
      for (const Index row : active) {
        const std::vector<Change>& changes = changes_[Place(row)];
        std::size_t i = 0;
        for (; i + 4 <= changes.size(); i += 4) AddFourRows(&changes[i], first, last, row);
        for (; i < changes.size(); ++i)
          AddRow(gram_.row(changes[i].column).data(), changes[i].difference, first, last, row);
      }
    }
  }

  void AddFourRows(const Change* changes, Index begin, Index end, Index row) {
    std::array<const double*, 4> gram_row;
    std::array<double, 4> difference;
    for (std::size_t i = 0; i < 4; ++i) {
      gram_row[i] = gram_.row(changes[i].column).data();
      difference[i] = changes[i].difference;
    }
    double* product = product_.row(row).data();
    for (Index column = begin; column < end; ++column) {
      product[column] +=
          (difference[0] * gram_row[0][column] + difference[1] * gram_row[1][column]) +
          (difference[2] * gram_row[2][column] + difference[3] * gram_row[3][column]);
    }
  }

  void AddRow(const double* gram_row, double difference, Index begin, Index end, Index row) {
    double* product = product_.row(row).data();
    for (Index column = begin; column < end; ++column)
      product[column] += difference * gram_row[column];
  }

  double Loss(Index row) const {
    const double* error = error_.row(row).data();
    const double* product = product_.row(row).data();
    return LaneSum(static_cast<std::size_t>(columns()), [&](std::size_t c) {
      const auto column = static_cast<Index>(c);
      return error[c] * (product[c] + damping_ * gram_(column, column) * error[c]);
    });
  }

  double ErrorOf(Index row, Index column, std::uint8_t code) const {
    const Index group = column / length_;
    const float restored =
        encoder_.Decode(code, static_cast<double>(grid_.scale(first_row_ + row, group)),
                        static_cast<double>(grid_.zero_point(first_row_ + row, group)));
    return static_cast<double>(restored) - static_cast<double>(weight_(first_row_ + row, column));
  }

  Index columns() const { return weight_.cols(); }
  std::size_t At(Index row, Index column) const {
    return static_cast<std::size_t>(row * columns() + column);
  }
  static std::size_t Place(Index row) { return static_cast<std::size_t>(row); }

  const ConstMatrixView& weight_;
  Encoder encoder_;
  const Grid& grid_;
  const MatrixD& gram_;
  double damping_;
  Index length_;
  Index first_row_;
  Index count_;
  MatrixD error_;                             // e
  MatrixD product_;                           // G e
  std::vector<float> thresholds_;             // of one row's group
  std::vector<std::vector<Change>> changes_;  // by row, of the block at hand
};

class CodeDescent final : public Rounding {
 public:
  explicit CodeDescent(const Settings& settings)
      : sweeps_(GetInt(settings, "sweeps")),
        damping_tokens_(GetDouble(settings, "damping_tokens")) {}

  bool needs_statistics() const override { return true; }

  std::span<const DiagnosticSpec> diagnostics() const override {
    constexpr auto kMean = DiagnosticJoin::kMean;
    static constexpr std::array<DiagnosticSpec, 4> specs = {{
        {"code_descent.loss_start", kMean,
         "mean over tokens and outputs of the squared output error, plus damping, at the range's "
         "or the nearest codes"},
        {"code_descent.loss_end", kMean, "the same at the codes kept"},
        {"code_descent.changes", DiagnosticJoin::kSum, "codes changed, over all passes"},
        {"code_descent.sweeps", kMean, "passes of the row that took most"},
    }};
    return specs;
  }

  // Some ten passes, in which about as many codes change as there are weights.
  Work Cost(const LayerSize& size) const override {
    const auto inputs = static_cast<double>(size.in_features);
    return size.weights() * (Nanoseconds(100) + Products(8 * inputs));
  }

  // The Gram matrix where only rows were kept, and the damped one; codes.
  Footprint Memory(const LayerSize& size, int) const override {
    const double gram = 8 * static_cast<double>(size.in_features * size.in_features);
    return {.kept = size.tokens <= size.in_features ? gram : 0, .scratch = size.weights() + gram};
  }

  RoundingResult Quantize(const ConstMatrixView& weight, const Range& range, const Format& format,
                          const LayerContext& layer) const override {
    DAQ_CHECK(layer.statistics != nullptr, "code descent is handed calibration data");
    RangeResult found = range.Find(weight, format, layer);
    if (found.codes.empty()) found.codes = NearestCodes(weight, format, found.grid, layer.pool);
    const MatrixD& gram = layer.statistics->gram(layer.pool);
    const auto tokens = static_cast<double>(layer.statistics->tokens());
    std::vector<RowOutcome> rows(static_cast<std::size_t>(weight.rows()));
    layer.pool->ParallelFor(
        (weight.rows() + kRowsPerItem - 1) / kRowsPerItem, [&](Index item, int) {
          const auto first = static_cast<std::size_t>(item * kRowsPerItem);
          const std::size_t count =
              std::min(static_cast<std::size_t>(kRowsPerItem), rows.size() - first);
          const auto columns = static_cast<std::size_t>(weight.cols());
          RowDescent(weight, format, found.grid, gram, damping_tokens_ / tokens,
                     static_cast<Index>(first))
              .Run(sweeps_, std::span(found.codes).subspan(first * columns, count * columns),
                   std::span(rows).subspan(first, count));
        });
    AddDiagnostics(rows, tokens, &found.diagnostics);
    return {
        .matrix = Pack(format, weight.rows(), weight.cols(), found.codes, std::move(found.grid)),
        .diagnostics = std::move(found.diagnostics)};
  }

 private:
  static void AddDiagnostics(const std::vector<RowOutcome>& rows, double tokens,
                             Diagnostics* diagnostics) {
    const auto outputs = static_cast<double>(rows.size()) * tokens;
    const auto sum = [&](double RowOutcome::*loss) {
      return LaneSum(rows.size(), [&](std::size_t row) { return rows[row].*loss; });
    };
    Index changes = 0;
    Index sweeps = 0;
    for (const RowOutcome& row : rows) {
      changes += row.changes;
      sweeps = std::max(sweeps, row.sweeps);
    }
    (*diagnostics)["code_descent.changes"] = static_cast<double>(changes);
    (*diagnostics)["code_descent.loss_end"] = sum(&RowOutcome::loss_end) / outputs;
    (*diagnostics)["code_descent.loss_start"] = sum(&RowOutcome::loss_start) / outputs;
    (*diagnostics)["code_descent.sweeps"] = static_cast<double>(sweeps);
  }

  std::int64_t sweeps_;
  double damping_tokens_;
};

}  // namespace

std::span<const SettingSpec> CodeDescentSettings();
std::unique_ptr<Rounding> MakeCodeDescent(const Settings& settings);

std::span<const SettingSpec> CodeDescentSettings() {
  static const std::array<SettingSpec, 2> specs = {
      SettingSpec{
          .name = "sweeps",
          .default_value = std::int64_t{10},
          .lowest = 0,
          .highest = 1000,
          .meaning = "passes over the columns at most; a row without a change in a pass "
                     "is done",
          .source = "this project: ten are within 0.5 % of convergence in output error on the demo "
                    "model (docs/methods.md)"},
      SettingSpec{.name = "damping_tokens",
                  .default_value = 512.0,
                  .lowest = 0,
                  .highest = 1e9,
                  .meaning = "damping_tokens / tokens times the diagonal of X^T X is added to it: "
                             "more trusts the correlations of few tokens less",
                  .source = "this project: measured on the demo model, results/demo-penalty.md"}};
  return specs;
}

std::unique_ptr<Rounding> MakeCodeDescent(const Settings& settings) {
  return std::make_unique<CodeDescent>(settings);
}

}  // namespace daq
