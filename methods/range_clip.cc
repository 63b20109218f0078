// The range [-m, m] to which llm-awq's auto_clip_layer clips each group: the one that leaves the
// least error in the group's part of the layer's output.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/reduce.h"
#include "methods/encode.h"
#include "methods/group_search.h"
#include "methods/minmax_grid.h"
#include "methods/partial_outputs.h"
#include "methods/range.h"
#include "methods/shrink_factors.h"

namespace daq {
namespace {

// A piece of work: this many rows of one group.
constexpr Index kRowsPerItem = 16;
// Factors whose errors go into one product: 160 rows keep BLAS busy and fit the cache.
constexpr Index kFactorsPerProduct = 10;

// A group's weights clipped to [-limit, limit] and the grid over what is left of their interval.
struct Clipped {
  float limit = 0;
  GroupGrid grid;
  // What weights below -limit and above limit become.
  std::uint8_t low_code = 0;
  std::uint8_t high_code = 0;
};

// What the search found for one group.
struct Choice {
  Clipped clipped;
  double factor = 1;
  double loss_start = 0;  // mean over tokens of the squared error of the partial output, factor 1
  double loss = 0;        // the same with the factor kept
};

// Clips and encodes the groups of one format.
class Clipper {
 public:
  Clipper(const GridRules& rules, const Format& format)
      : rules_(rules), format_(&format), encoder_(format.codebook) {}

  // Nothing where the grid does not fit in float32.
  std::optional<Clipped> Clip(const WeightInterval& interval, float limit) const {
    Clipped clipped{
        .limit = limit,
        .grid = LayGrid({std::max(interval.lowest, -limit), std::min(interval.highest, limit)},
                        rules_, *format_)};
    if (!FitsInFloat32(clipped.grid, format_->codebook)) return std::nullopt;
    clipped.low_code = CodeOfEnd(-limit, clipped.grid);
    clipped.high_code = CodeOfEnd(limit, clipped.grid);
    return clipped;
  }

  // The grid over the weights as they are, for messages where it does not fit.
  GroupGrid Unclipped(const WeightInterval& interval) const {
    return LayGrid(interval, rules_, *format_);
  }

  void Codes(const Clipped& clipped, std::span<const float> weights,
             std::span<std::uint8_t> codes) const {
    encoder_.Encode(Scale(clipped), ZeroPoint(clipped), weights, codes);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      codes[i] = weights[i] < -clipped.limit  ? clipped.low_code
                 : weights[i] > clipped.limit ? clipped.high_code
                                              : codes[i];
    }
  }

  // errors[i] = (what weights[i] becomes - weights[i]) * factor. factor is a power of two.
  void Errors(const Clipped& clipped, std::span<const float> weights, double factor,
              std::span<float> errors) const {
    encoder_.RoundToNearest(Scale(clipped), ZeroPoint(clipped), weights, errors);
    const float low = encoder_.Decode(clipped.low_code, Scale(clipped), ZeroPoint(clipped));
    const float high = encoder_.Decode(clipped.high_code, Scale(clipped), ZeroPoint(clipped));
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const float inside = weights[i] < -clipped.limit ? low : errors[i];
      const float nearest = weights[i] > clipped.limit ? high : inside;
      errors[i] = static_cast<float>(
          (static_cast<double>(nearest) - static_cast<double>(weights[i])) * factor);
    }
  }

 private:
  static double Scale(const Clipped& clipped) { return static_cast<double>(clipped.grid.scale); }
  static double ZeroPoint(const Clipped& clipped) {
    return static_cast<double>(clipped.grid.zero_point);
  }

  // A group clipped on both sides has ends of exactly (2^b - 1) / 2 steps, as near to one code as
  // to the next, and with a rounded zero-point the two differ by a whole step for every clipped
  // weight. So this is decided as llm-awq does, by the float32 quotient rounded half to even.
  std::uint8_t CodeOfEnd(float end, const GroupGrid& grid) const {
    if (HasIntegerZeroPoint(rules_, *format_)) {
      return static_cast<std::uint8_t>(std::clamp(
          std::nearbyint(end / grid.scale) + grid.zero_point, 0.0F, format_->codebook.last()));
    }
    std::uint8_t code = 0;
    encoder_.Encode(static_cast<double>(grid.scale), static_cast<double>(grid.zero_point),
                    {&end, 1}, {&code, 1});
    return code;
  }

  GridRules rules_;
  const Format* format_;
  Encoder encoder_;
};

// Searches kRowsPerItem rows of one group at a time.
class Search {
 public:
  Search(const ConstMatrixView& weight, const Clipper& clipper, const PartialOutputs& outputs,
         const ShrinkFactors& factors, Index length)
      : weight_(weight), clipper_(clipper), outputs_(outputs), factors_(factors), length_(length) {}

  std::span<const float> Weights(Index row, Index group) const {
    return {weight_.row(row).data() + group * length_, static_cast<std::size_t>(length_)};
  }

  // The factors are tried from 1 down and only a smaller loss replaces the best. Throws InputError
  // where a group's grid does not fit in float32 unclipped.
  std::vector<Choice> Rows(Index first, Index rows, Index group, const Format& format,
                           const std::string& layer) const {
    std::vector<Row> found(static_cast<std::size_t>(rows));
    for (Index r = 0; r < rows; ++r) {
      Row& row = found[static_cast<std::size_t>(r)];
      row.weights = Weights(first + r, group);
      row.interval = IntervalOf(row.weights);
      row.largest = std::max(std::abs(row.interval.lowest), std::abs(row.interval.highest));
      // A power of two, so that neither squares nor float32 products over- or underflow and scaling
      // the weights by one scales the result exactly.
      row.unit = row.largest == 0.0F ? 1.0 : std::ldexp(1.0, std::ilogb(row.largest));
      CheckFitsInFloat32(clipper_.Unclipped(row.interval), format, layer, first + r);
    }
    for (std::int64_t begin = 0; begin < factors_.count(); begin += kFactorsPerProduct) {
      Try(begin, std::min<std::int64_t>(kFactorsPerProduct, factors_.count() - begin), group,
          &found);
    }
    std::vector<Choice> choices;
    for (Row& row : found) {
      row.choice.loss_start *= row.unit * row.unit;
      row.choice.loss *= row.unit * row.unit;
      choices.push_back(row.choice);
    }
    return choices;
  }

 private:
  struct Row {
    std::span<const float> weights;
    WeightInterval interval;
    float largest = 0;
    double unit = 1;  // losses are in its square until the end
    Choice choice;
  };

  // Tries factors [begin, begin + count) for all rows in one product.
  void Try(std::int64_t begin, std::int64_t count, Index group, std::vector<Row>* rows) const {
    MatrixF errors = MatrixF::Zero(static_cast<Index>(rows->size()) * count, length_);
    std::vector<std::optional<Clipped>> clipped;
    for (const Row& row : *rows) {
      for (std::int64_t i = begin; i < begin + count; ++i) {
        clipped.push_back(
            clipper_.Clip(row.interval, row.largest * static_cast<float>(factors_.At(i))));
        if (!clipped.back()) continue;  // never chosen; factor 1 was checked to fit
        const auto at = static_cast<Index>(clipped.size()) - 1;
        clipper_.Errors(*clipped.back(), row.weights, 1.0 / row.unit,
                        {errors.row(at).data(), static_cast<std::size_t>(length_)});
      }
    }
    std::vector<double> losses(clipped.size());
    outputs_.MeanSquares(group, errors, losses);
    std::size_t at = 0;
    for (Row& row : *rows) {
      for (std::int64_t i = begin; i < begin + count; ++i, ++at) {
        if (i == 0) row.choice.loss_start = losses[at];
        if (i > 0 && !(clipped[at] && losses[at] < row.choice.loss)) continue;
        row.choice.clipped = *clipped[at];
        row.choice.factor = factors_.At(i);
        row.choice.loss = losses[at];
      }
    }
  }

  ConstMatrixView weight_;
  const Clipper& clipper_;
  const PartialOutputs& outputs_;
  ShrinkFactors factors_;
  Index length_;
};

class Clip final : public Range {
 public:
  explicit Clip(const Settings& settings)
      : rules_(ReadGridRules(settings)),
        factors_{.points = GetInt(settings, "grid_points"),
                 .max_shrink = GetDouble(settings, "max_shrink")},
        skip_query_key_(GetBool(settings, "skip_query_key")) {}

  void CheckFormat(const Format& format) const override { CheckGridFormat(format); }

  // A product of each factor's errors with the sampled tokens or the group's Gram matrix.
  Work Cost(const LayerSize& size) const override {
    return static_cast<double>(factors_.count()) * size.weights() *
           (Nanoseconds(2) + Products(2 * size.rank(std::min<Index>(2 * size.group_length, 768))));
  }

  std::string Explain(const Format& format) const override {
    return fmt::format("{} factors from 1 down to {:.4g}, q_proj and k_proj {}; {}",
                       factors_.count(), factors_.At(factors_.count() - 1),
                       skip_query_key_ ? "not clipped" : "clipped too",
                       ExplainGrid(rules_, format));
  }

  bool needs_statistics() const override { return true; }

  std::span<const DiagnosticSpec> diagnostics() const override {
    constexpr auto kMean = DiagnosticJoin::kMean;
    static constexpr std::array<DiagnosticSpec, 3> specs = {{
        {"clip.shrink", kMean, "factor on the largest |w| that was kept, mean over groups"},
        {"clip.loss_start", kMean,
         "mean over tokens of the squared error of a group's part of the output without clipping, "
         "mean over groups"},
        {"clip.loss_end", kMean, "the same with the factor kept"},
    }};
    return specs;
  }

  RangeResult Find(const ConstMatrixView& weight, const Format& format,
                   const LayerContext& layer) const override {
    if (skip_query_key_ && IsQueryOrKey(layer.name)) {
      const auto find = [&](std::span<const float> group) {
        return LayGrid(IntervalOf(group), rules_, format);
      };
      return {
          .grid = FindEachGroup(weight, format, layer, HasIntegerZeroPoint(rules_, format), find),
          .codes = {}};
    }
    DAQ_CHECK(layer.statistics != nullptr, "clip needs calibration data");
    const Index groups = GroupsPerRow(format, weight.cols(), layer.name);
    const Index length = GroupLength(format, weight.cols());
    const PartialOutputs outputs(*layer.statistics, layer.columns, weight.cols(), length,
                                 layer.pool);
    const Clipper clipper(rules_, format);
    const Search search(weight, clipper, outputs, factors_, length);
    RangeResult result{.grid = {.scale = MatrixF(weight.rows(), groups),
                                .zero_point = MatrixF(weight.rows(), groups),
                                .integer_zero_point = HasIntegerZeroPoint(rules_, format)},
                       .codes = std::vector<std::uint8_t>(static_cast<std::size_t>(weight.size()))};
    std::vector<Choice> choices(static_cast<std::size_t>(weight.rows() * groups));
    const Index tiles = (weight.rows() + kRowsPerItem - 1) / kRowsPerItem;
    layer.pool->ParallelFor(tiles * groups, [&](Index item, int) {
      const Index group = item / tiles;
      const Index first = item % tiles * kRowsPerItem;
      const Index rows = std::min(kRowsPerItem, weight.rows() - first);
      const std::vector<Choice> found = search.Rows(first, rows, group, format, layer.name);
      for (Index row = first; row < first + rows; ++row) {
        const Choice& choice = found[static_cast<std::size_t>(row - first)];
        result.grid.scale(row, group) = choice.clipped.grid.scale;
        result.grid.zero_point(row, group) = choice.clipped.grid.zero_point;
        const std::span<const float> weights = search.Weights(row, group);
        clipper.Codes(choice.clipped, weights,
                      std::span(result.codes)
                          .subspan(static_cast<std::size_t>(row * weight.cols() + group * length),
                                   weights.size()));
        choices[static_cast<std::size_t>(row * groups + group)] = choice;
      }
    });
    result.diagnostics = Summarize(choices);
    return result;
  }

 private:
  // "due to qk bmm, it is hard to clip precisely", llm-awq auto_clip_block.
  static bool IsQueryOrKey(const std::string& name) {
    return name.find("q_proj") != std::string::npos || name.find("k_proj") != std::string::npos;
  }

  static Diagnostics Summarize(const std::vector<Choice>& choices) {
    const auto mean = [&](double Choice::*member) {
      return LaneSum(choices.size(), [&](std::size_t i) { return choices[i].*member; }) /
             static_cast<double>(choices.size());
    };
    return {{"clip.shrink", mean(&Choice::factor)},
            {"clip.loss_start", mean(&Choice::loss_start)},
            {"clip.loss_end", mean(&Choice::loss)}};
  }

  GridRules rules_;
  ShrinkFactors factors_;
  bool skip_query_key_;
};

}  // namespace

std::span<const SettingSpec> ClipSettings();
std::unique_ptr<Range> MakeClip(const Settings& settings);

std::span<const SettingSpec> ClipSettings() {
  static const std::array<SettingSpec, kGridRuleCount> rules = GridRuleSpecs();
  static const std::array<SettingSpec, 5> specs = {
      rules[0], rules[1],
      SettingSpec{
          .name = "grid_points",
          .default_value = std::int64_t{20},
          .lowest = 1,
          .highest = 10000,
          .meaning = "shrink factors are 1 - i / grid_points: more points, finer and slower search",
          .source = "llm-awq auto_clip.py, n_grid=20"},
      SettingSpec{.name = "max_shrink",
                  .default_value = 0.5,
                  .lowest = 0,
                  .highest = 1,
                  .meaning = "how far to shrink: i runs to max_shrink * grid_points, that not "
                             "included; 0 = min-max",
                  .source = "llm-awq auto_clip.py, max_shrink=0.5"},
      SettingSpec{.name = "skip_query_key",
                  .default_value = true,
                  .meaning = "q_proj and k_proj keep the min-max range: their product is what "
                             "matters, not each one's output",
                  .source = "llm-awq auto_clip_block skips names with q_ or k_"}};
  return specs;
}

std::unique_ptr<Range> MakeClip(const Settings& settings) {
  return std::make_unique<Clip>(settings);
}

}  // namespace daq
