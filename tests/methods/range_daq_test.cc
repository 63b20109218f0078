// The daq range: its fast search against the dense one of dense_sign_search.h.
#include <gtest/gtest.h>

#include <iostream>
#include <numeric>

#include "base/blas.h"
#include "base/float_product.h"
#include "methods/daq.h"
#include "methods/quantize_layer.h"
#include "methods/registry.h"
#include "tests/methods/dense_sign_search.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

// Where two losses that the dense search compares are closer than this, another order of additions
// may decide otherwise: both have rounding errors of some 2^-53 times sqrt(inputs) times the ratio
// of output to output error, 300 for 8 bits: 1e-12, with three digits to spare.
constexpr double kTooClose = 1e-9;

// With the released settings narrow probes shrink to 1e-6, and where no weight changes its code
// the loss is a parabola: near its minimum two probes differ by 1e-12 of it, less than rounding.
// Such ends are too close to compare, so here the narrow probe stays at 2e-4. Four epochs save
// time.
DaqOptions Coarse(DaqOptions options) {
  options.search.shrink = 1;
  options.search.epochs = 4;
  return options;
}

DaqOptions Defaults() { return ReadDaqOptions(DefaultSettings(DaqSettings())); }

struct Tally {
  Index compared = 0;
  Index excluded = 0;
  Index excluded_but_equal = 0;
};

class RangeDaqTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { SetUpBlas(); }

  static std::vector<DaqGroup> Fast(const MatrixF& inputs, const MatrixF& weight,
                                    const Format& format, const DaqOptions& options,
                                    std::span<const Index> columns = {}) {
    ThreadPool pool(1);
    const LayerStatistics statistics(inputs, &pool);
    const LayerContext layer{
        .name = "layer", .statistics = &statistics, .pool = &pool, .columns = columns};
    const GroupPieces pieces(weight, format, layer);
    const GroupFactors factors(statistics, weight.cols(), columns, pieces.length(), &pool);
    return SolveDaq(pieces, format, layer, options, &factors);
  }

  // Runs both searches on every group that is not constant (the conformance tests have those) and
  // adds to `tally`.
  static void Compare(const MatrixF& inputs, const MatrixF& weight, const Format& format,
                      const DaqOptions& options, Tally* tally, double too_close = kTooClose) {
    SCOPED_TRACE(FormatName(format) + " " + GranularityName(format));
    const std::vector<DaqGroup> fast = Fast(inputs, weight, format, options);
    const Index length = GroupLength(format, weight.cols());
    for (Index row = 0; row < weight.rows(); ++row) {
      for (Index group = 0; group < weight.cols() / length; ++group) {
        const DaqGroup& found =
            fast[static_cast<std::size_t>(row * (weight.cols() / length) + group)];
        const std::span<const float> weights(weight.row(row).data() + group * length,
                                             static_cast<std::size_t>(length));
        if (found.is_constant) continue;
        DenseSignSearch search(inputs.middleCols(group * length, length), weights, format);
        const DenseResult dense = search.Run(StartOfDaq(weights, format, options), options.search);
        if (dense.closest < too_close) {
          ++tally->excluded;
          tally->excluded_but_equal += found.point == dense.point ? 1 : 0;
          EXPECT_NEAR(found.loss_end, dense.loss_end, 0.1 * dense.loss_end) << row << " " << group;
          continue;
        }
        ++tally->compared;
        EXPECT_EQ(found.point.scale, dense.point.scale) << row << " " << group;
        EXPECT_EQ(found.point.zero_point, dense.point.zero_point) << row << " " << group;
        EXPECT_NEAR(found.loss_start, dense.loss_start, dense.uncertainty);
        EXPECT_NEAR(found.loss_end, dense.loss_end, dense.uncertainty);
      }
    }
  }

  static void ExpectFewExcluded(const Tally& tally, Index one_in = 20) {
    std::cout << tally.compared << " groups compared, " << tally.excluded << " excluded, of which "
              << tally.excluded_but_equal << " equal\n";
    EXPECT_GT(tally.compared, 0);
    EXPECT_LE(tally.excluded * one_in, tally.compared);
  }
};

TEST_F(RangeDaqTest, EndsWhereTheDenseSearchEndsInEveryFormat) {
  Tally tally;
  for (const Index tokens : {24, 80}) {  // fewer and more than a channel's 64 and a group's 32
    const MatrixF inputs = NormalMatrix(tokens, 64, 1.0, 51);
    for (const Index group_size : {0, 32}) {
      for (const Format& format : AllFormats(group_size)) {
        Compare(inputs, NormalMatrix(2, 64, 0.02, 52), format, Coarse(Defaults()), &tally);
        Compare(inputs, HeavyTailedMatrix(2, 64, 0.3, 53), format, Coarse(Defaults()), &tally);
      }
    }
  }
  ExpectFewExcluded(tally);
}

// With the released settings: weights enough that most groups end where a step would change codes.
// What is closer than rounding is compared by its loss alone.
TEST_F(RangeDaqTest, EndsWhereTheDenseSearchEndsWithTheReleasedSettings) {
  Tally tally;
  for (const Index tokens : {40, 140}) {
    const MatrixF inputs = HeavyTailedMatrix(tokens, 128, 3.0, 54);
    for (const Index group_size : {0, 64}) {
      for (const Format& format : AllFormats(group_size)) {
        // More tokens than inputs with two formats alone, to save time.
        const std::string_view book = format.codebook.name;
        if (tokens > 128 && (format.symmetric || (book != "nf4" && book != "int3"))) continue;
        Compare(inputs, NormalMatrix(1, 128, 0.02, 55), format, Defaults(), &tally, 1e-12);
        Compare(inputs, HeavyTailedMatrix(1, 128, 0.3, 56), format, Defaults(), &tally, 1e-12);
      }
    }
  }
  ExpectFewExcluded(tally, 2);
}

TEST_F(RangeDaqTest, EndsWhereTheDenseSearchEndsOnDegenerateGroups) {
  MatrixF weight = NormalMatrix(9, 64, 0.02, 57);
  weight(0, 5) = 1e38F;                                 // one huge outlier
  weight(1, 40) = -7.0F;                                // one large
  weight.row(2) *= 1e-38F;                              // smallest normals and subnormals
  weight.row(3) = weight.row(3).cwiseSign() * 1.5e38F;  // two values near the end of float32
  weight.row(4).setConstant(1.0F);                      // constant but for one ulp
  weight(4, 7) = std::nextafter(1.0F, 2.0F);
  weight.row(5).setZero();  // all zero but one
  weight(5, 60) = -0.5F;
  weight.row(6).leftCols(60).setConstant(0.01F);  // most alike
  weight.row(7) = weight.row(7).cwiseAbs();       // one sign
  Tally tally;
  MatrixF inputs = NormalMatrix(40, 64, 1.0, 58);
  inputs.col(3).setZero();        // an input that is never on
  inputs.col(9) *= 1000.0F;       // and one that is very much so
  inputs.row(7) = inputs.row(6);  // rank below the number of tokens
  for (const Format& format : AllFormats(0))
    Compare(inputs, weight, format, Coarse(Defaults()), &tally);
  for (const Format& format : AllFormats(32))
    Compare(inputs, weight, format, Coarse(Defaults()), &tally);
  Compare(inputs.topRows(1), weight, AllFormats(0)[1], Coarse(Defaults()), &tally);
  ExpectFewExcluded(tally, 10);  // alike weights give alike losses
}

TEST_F(RangeDaqTest, WithoutInputsNothingMoves) {
  const MatrixF weight = NormalMatrix(3, 64, 0.02, 59);
  for (const Format& format : AllFormats(0)) {
    for (const DaqGroup& group : Fast(MatrixF::Zero(10, 64), weight, format, Defaults())) {
      EXPECT_EQ(group.search.last_move, 0);
      EXPECT_EQ(group.loss_end, 0);
    }
  }
}

// Inputs of which a few directions have most of the energy, as a layer's have.
MatrixF CorrelatedInputs(Index tokens, Index columns, Index directions) {
  MatrixF strength = NormalMatrix(tokens, directions, 4.0, 68);
  MatrixF inputs(tokens, columns);
  Multiply(strength, NormalMatrix(directions, columns, 1.0, 69), inputs);
  return inputs + NormalMatrix(tokens, columns, 1.0, 70);
}

TEST_F(RangeDaqTest, LeadingRowsAndTheRestHaveAllEnergy) {
  ThreadPool pool(1);
  std::vector<Index> columns(96);
  std::iota(columns.begin(), columns.end(), Index{0});
  for (const Index tokens : {40, 140}) {  // both kinds of factors
    const MatrixF inputs = CorrelatedInputs(tokens, 96, 8);
    const LayerStatistics statistics(inputs, &pool);
    const InputFactor factor = FactorInputs(statistics, columns, &pool);
    for (const Index rows : {1, 20, 32, 33, 1000}) {
      SCOPED_TRACE(rows);
      const LeadingRows some = TakeLeadingRows(factor, rows);
      for (Index input = 0; input < 96; ++input) {
        const double rest = some.rest[static_cast<std::size_t>(input)];
        double leading = 0;
        for (Index row = 0; row < some.leading.blocks() * InputFactor::kBlock; ++row) {
          const double entry =
              some.leading.Column(row / InputFactor::kBlock, input)[row % InputFactor::kBlock];
          leading += row < rows ? entry * entry : 1e9 * std::abs(entry);  // filled with zeros
        }
        const double whole =
            inputs.col(input).cast<double>().squaredNorm() / static_cast<double>(tokens);
        EXPECT_NEAR(leading + rest, whole, 1e-12 * whole);  // doubles added in another order
        EXPECT_TRUE(rest == 0 || rows < 1000);
      }
    }
  }
}

TEST_F(RangeDaqTest, AQuickSearchOnAllRowsIsTheExactOne) {
  const MatrixF inputs = CorrelatedInputs(40, 64, 8);
  const MatrixF weight = HeavyTailedMatrix(4, 64, 0.3, 71);
  DaqOptions options = Defaults();
  for (const Format& format : AllFormats(32)) {
    options.search_rows = 0;
    const std::vector<DaqGroup> exact = Fast(inputs, weight, format, options);
    options.search_rows = 40;
    const std::vector<DaqGroup> all = Fast(inputs, weight, format, options);
    for (std::size_t i = 0; i < exact.size(); ++i) {
      EXPECT_EQ(all[i].point, exact[i].point);
      EXPECT_EQ(all[i].loss_end, exact[i].loss_end);
    }
  }
}

// Of 40 directions, 8 of which have nearly all energy, the quick search sees 16. It ended 3 %
// above the exact one here; one that is blind to the rest, or takes it for nothing, is far off.
TEST_F(RangeDaqTest, AQuickSearchEndsNearTheExactOne) {
  const MatrixF inputs = CorrelatedInputs(40, 256, 8);
  const MatrixF weight = NormalMatrix(24, 256, 0.02, 72);
  const Format format{.codebook = BuiltIn("nf4", false), .group_size = 0};
  const auto loss_with = [&](Index rows) {
    DaqOptions options = Defaults();
    options.search_rows = rows;
    const std::vector<DaqGroup> groups = Fast(inputs, weight, format, options);
    double loss = 0;
    for (Index row = 0; row < weight.rows(); ++row) {
      const std::span<const float> weights(weight.row(row).data(), 256);
      loss += DenseSignSearch(inputs, weights, format)
                  .Loss(groups[static_cast<std::size_t>(row)].point);
    }
    return loss;
  };
  const double exact = loss_with(0);
  const double quick = loss_with(16);
  std::cout << "quick over exact: " << quick / exact << ", one row: " << loss_with(1) / exact
            << "\n";
  EXPECT_LT(quick, 1.1 * exact);
  EXPECT_GT(loss_with(1), 1.5 * exact);
}

// GPTQ asks for ranges of some columns in its own order.
TEST_F(RangeDaqTest, ColumnsNameTheirInputs) {
  const MatrixF inputs = NormalMatrix(80, 64, 1.0, 60);
  const MatrixF weight = NormalMatrix(5, 32, 0.02, 61);
  std::vector<Index> columns(32);
  for (Index i = 0; i < 32; ++i) columns[static_cast<std::size_t>(i)] = (7 * i + 3) % 64;
  MatrixF chosen(80, 32);
  for (Index i = 0; i < 32; ++i) chosen.col(i) = inputs.col(columns[static_cast<std::size_t>(i)]);
  for (const Index group_size : {0, 16}) {
    const Format format{.codebook = BuiltIn("nf4", false), .group_size = group_size};
    const std::vector<DaqGroup> named = Fast(inputs, weight, format, Coarse(Defaults()), columns);
    const std::vector<DaqGroup> alone = Fast(chosen, weight, format, Coarse(Defaults()));
    ASSERT_EQ(named.size(), alone.size());
    for (std::size_t i = 0; i < named.size(); ++i) EXPECT_EQ(named[i].point, alone[i].point);
  }
}

// The release's loop over a layer, with its count of idle iterations.
std::vector<GridPoint> DenseLayer(const MatrixF& inputs, const MatrixF& weight,
                                  const Format& format, const DaqOptions& options, double* closest,
                                  Index* iterations) {
  std::vector<DenseSignSearch> rows;
  std::vector<GridPoint> points;
  for (Index row = 0; row < weight.rows(); ++row) {
    const std::span<const float> weights(weight.row(row).data(),
                                         static_cast<std::size_t>(weight.cols()));
    rows.emplace_back(inputs, weights, format);
    points.push_back(StartOfDaq(weights, format, options));
  }
  Index idle = 0;
  for (Index epoch = 0; epoch < options.search.epochs; ++epoch) {
    ++idle;
    double narrow = options.search.initial_step / options.search.rate;
    double wide = options.search.initial_step * options.search.rate;
    for (Index j = 0; j < options.search.iterations; ++j) {
      double& eps = j % 2 == 1 ? narrow : wide;
      eps *= j % 2 == 1 ? options.search.shrink : options.search.grow;
      bool moved = false;
      for (std::size_t row = 0; row < rows.size(); ++row)
        moved = rows[row].Step(eps, &points[row]) || moved;
      ++*iterations;
      idle = moved ? 0 : idle + 1;
      if (idle > 5) break;
    }
  }
  *closest = std::numeric_limits<double>::infinity();
  for (const DenseSignSearch& row : rows) *closest = std::min(*closest, row.closest());
  return points;
}

TEST_F(RangeDaqTest, IdleStopEndsEpochsAsTheReleaseDoes) {
  const MatrixF inputs = NormalMatrix(24, 32, 1.0, 62);
  const MatrixF weight = NormalMatrix(3, 32, 0.02, 63);
  DaqOptions options = Coarse(Defaults());
  Index differing = 0;
  for (const Format& format : AllFormats(0)) {
    SCOPED_TRACE(FormatName(format));
    double closest = 0;
    Index iterations = 0;
    const std::vector<GridPoint> dense =
        DenseLayer(inputs, weight, format, options, &closest, &iterations);
    EXPECT_LT(iterations, options.search.epochs * options.search.iterations);  // it did stop
    ASSERT_GT(closest, 1e-12);  // rounding decides nothing here
    options.idle_stop = true;
    const std::vector<DaqGroup> stopped = Fast(inputs, weight, format, options);
    options.idle_stop = false;
    const std::vector<DaqGroup> settled = Fast(inputs, weight, format, options);
    for (std::size_t row = 0; row < dense.size(); ++row) {
      EXPECT_EQ(stopped[row].point, dense[row]) << row;
      differing += settled[row].point == dense[row] ? 0 : 1;
    }
  }
  EXPECT_GT(differing, 0);  // the stop matters somewhere, so this test tests it
}

RangeResult FindWith(const Settings& overrides, const MatrixF& inputs, const MatrixF& weight,
                     const Format& format) {
  const PartChoice choice = ChoosePart(*FindPart(Ranges(), "daq"), overrides);
  const std::unique_ptr<Range> range = FindPart(Ranges(), "daq")->make(choice.settings);
  ThreadPool pool(1);
  const LayerStatistics statistics(inputs, &pool);
  return range->Find(weight, format, {.name = "layer", .statistics = &statistics, .pool = &pool});
}

TEST_F(RangeDaqTest, StagesStandAlone) {
  const MatrixF inputs = NormalMatrix(40, 64, 1.0, 64);
  const MatrixF weight = HeavyTailedMatrix(4, 64, 0.3, 65);
  const Format format{.codebook = BuiltIn("nf4", false)};
  const PartEntry<Range>& daq = *FindPart(Ranges(), "daq");
  const auto needs = [&](const std::string& stage) {
    return daq.make(ChoosePart(daq, {{"stage", stage}}).settings)->needs_statistics();
  };
  EXPECT_FALSE(needs("1"));
  EXPECT_TRUE(needs("2"));
  EXPECT_TRUE(needs("both"));

  const RangeResult start = FindWith({{"stage", std::string("1")}}, inputs, weight, format);
  EXPECT_TRUE(start.codes.empty() && start.diagnostics.empty());
  const RangeResult both = FindWith({}, inputs, weight, format);
  const RangeResult second = FindWith({{"stage", std::string("2")}}, inputs, weight, format);
  EXPECT_LT(both.diagnostics.at("daq.loss_end"), both.diagnostics.at("daq.loss_start"));
  EXPECT_NE(both.diagnostics.at("daq.loss_start"), second.diagnostics.at("daq.loss_start"));
  double losses = 0;
  for (Index row = 0; row < 4; ++row) {
    const std::span<const float> weights(weight.row(row).data(), 64);
    const GridPoint point = StartOfDaq(weights, format, Defaults());
    EXPECT_EQ(start.grid.scale(row, 0), static_cast<float>(point.scale));
    EXPECT_EQ(start.grid.zero_point(row, 0), static_cast<float>(point.zero_point));
    losses += DenseSignSearch(inputs, weights, format).Loss(point);
  }
  // Before stage 1 stands what stage 2 alone begins with; that was reached by a search's steps
  // here.
  EXPECT_NEAR(both.diagnostics.at("daq.loss_minmax"), second.diagnostics.at("daq.loss_start"),
              1e-10 * losses);
  // Sums over 64 products in another order.
  EXPECT_NEAR(both.diagnostics.at("daq.loss_start"), losses, 1e-12 * losses);
}

// What the search saw is what is stored: its loss is that of codes and grid, up to the grid's
// rounding to float.
TEST_F(RangeDaqTest, StoredCodesHaveTheLossThatTheSearchFound) {
  const MatrixF inputs = NormalMatrix(40, 64, 1.0, 66);
  const MatrixF weight = NormalMatrix(6, 64, 0.02, 67);
  const Format format{.codebook = BuiltIn("nf4", false), .group_size = 32};
  const RangeResult result = FindWith({}, inputs, weight, format);
  ASSERT_EQ(result.codes.size(), 6U * 64U);
  double losses = 0;
  for (Index row = 0; row < 6; ++row) {
    for (Index group = 0; group < 2; ++group) {
      for (Index token = 0; token < 40; ++token) {
        double error = 0;
        for (Index i = group * 32; i < group * 32 + 32; ++i) {
          const float value =
              format.codebook.values[result.codes[static_cast<std::size_t>(row * 64 + i)]];
          const double restored = (static_cast<double>(value) -
                                   static_cast<double>(result.grid.zero_point(row, group))) *
                                  static_cast<double>(result.grid.scale(row, group));
          error += (restored - static_cast<double>(weight(row, i))) *
                   static_cast<double>(inputs(token, i));
        }
        losses += error * error / 40;
      }
    }
  }
  // Scale and zero-point are rounded to 2^-24, a tenth of the weights' size is the error: 1e-6.
  EXPECT_NEAR(result.diagnostics.at("daq.loss_end"), losses, 1e-5 * losses);
}

}  // namespace
}  // namespace daq
