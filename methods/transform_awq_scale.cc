// AWQ's activation-aware scaling: input channels with large activations get their weights
// multiplied, and what computes the channel divided, so that rounding hurts them less (Lin et al.
// 2023; llm-awq auto_scale.py).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>

#include "base/error.h"
#include "methods/encode.h"
#include "methods/group_search.h"
#include "methods/minmax_grid.h"
#include "methods/transform.h"

namespace daq {
namespace {

constexpr Index kRowsPerItem = 16;

// The smallest scale before they are centred on 1: llm-awq's clamp, which a channel without
// activation gets.
constexpr float kSmallestScale = 1e-4F;

// What the search of one group found.
struct Found {
  VectorF scale;     // s, one an input channel
  double ratio = 0;  // s = mean|x|^ratio
  double loss = std::numeric_limits<double>::infinity();
  double loss_unscaled = 0;  // with s = 1
};

// s = mean|x|^ratio, divided by the geometric mean of its extremes.
VectorF ScaleOf(const VectorF& mean_absolute, float ratio) {
  VectorF scale(mean_absolute.size());
  float lowest = std::numeric_limits<float>::infinity();
  float highest = 0;
  for (Index c = 0; c < scale.size(); ++c) {
    scale[c] = std::max(std::pow(mean_absolute[c], ratio), kSmallestScale);
    lowest = std::min(lowest, scale[c]);
    highest = std::max(highest, scale[c]);
  }
  // In double only so that the product cannot overflow.
  const auto center =
      static_cast<float>(std::sqrt(static_cast<double>(lowest) * static_cast<double>(highest)));
  for (Index c = 0; c < scale.size(); ++c) scale[c] /= center;
  return scale;
}

// What quantising makes of weights whose columns were multiplied by s, divided by s again.
class ScaledRounding {
 public:
  ScaledRounding(const GridRules& rules, const Format& format)
      : rules_(rules), format_(format), encoder_(format.codebook) {}

  // rounded: rows [first, first + rounded.rows()) of Q(weight * s) / s. NaN where a grid does not
  // fit in float32.
  void Rows(const ConstMatrixView& weight, const VectorF& s, Index first,
            MatrixView rounded) const {
    const Index length = GroupLength(format_, weight.cols());
    std::vector<float> scaled(static_cast<std::size_t>(length));
    for (Index row = 0; row < rounded.rows(); ++row) {
      for (Index begin = 0; begin < weight.cols(); begin += length) {
        const float* in = weight.row(first + row).data() + begin;
        float* out = rounded.row(row).data() + begin;
        for (Index i = 0; i < length; ++i)
          scaled[static_cast<std::size_t>(i)] = in[i] * s[begin + i];
        Round(scaled, {out, static_cast<std::size_t>(length)});
        for (Index i = 0; i < length; ++i) out[i] /= s[begin + i];
      }
    }
  }

 private:
  void Round(std::span<const float> weights, std::span<float> rounded) const {
    const GroupGrid grid = LayGrid(IntervalOf(weights), rules_, format_);
    if (!FitsInFloat32(grid, format_.codebook)) {
      std::fill(rounded.begin(), rounded.end(), std::numeric_limits<float>::quiet_NaN());
      return;
    }
    encoder_.RoundToNearest(static_cast<double>(grid.scale), static_cast<double>(grid.zero_point),
                            weights, rounded);
  }

  GridRules rules_;
  Format format_;
  Encoder encoder_;
};

class AwqScale final : public Transform {
 public:
  explicit AwqScale(const Settings& settings)
      : rules_(ReadGridRules(settings)), grid_points_(GetInt(settings, "grid_points")) {}

  bool is_identity() const override { return false; }
  bool needs_statistics() const override { return true; }

  std::span<const DiagnosticSpec> diagnostics() const override {
    constexpr auto kMean = DiagnosticJoin::kMean;
    static constexpr std::array<DiagnosticSpec, 3> specs = {{
        {"awq_scale.ratio", kMean, "r of s = mean|x|^r that was kept; 0: not scaled"},
        {"awq_scale.loss_unscaled", kMean,
         "mean squared error of the module's output (o and down: the layer's own), rounded to "
         "nearest without scaling"},
        {"awq_scale.loss", kMean, "the same with the scaling kept"},
    }};
    return specs;
  }
  Index evaluations() const override { return grid_points_; }
  // The block to rewrite, the one on trial, and the rounded consumers of a group: gate and up are
  // two thirds of a block.
  double block_copies() const override { return 2.7; }
  void CheckFormat(const Format& format) const override { CheckGridFormat(format); }

  // All groups are searched before any is rewritten, as llm-awq does: a group's loss does not
  // depend on the groups before it.
  std::map<std::string, Diagnostics> Apply(TransformBlock* block,
                                           const TransformContext& context) const override {
    std::vector<std::optional<Found>> found;
    for (std::size_t group = 0; group < block->groups.size(); ++group) {
      const bool has_producer =
          block->groups[group].producer_norm >= 0 || block->groups[group].producer_layer >= 0;
      found.push_back(has_producer
                          ? std::optional(Search(*block, static_cast<Index>(group), context))
                          : std::nullopt);
    }
    std::map<std::string, Diagnostics> diagnostics;
    for (std::size_t group = 0; group < block->groups.size(); ++group) {
      if (!found[group]) continue;
      Rescale(*found[group], &block->groups[group], block);
      for (const Index consumer : block->groups[group].consumers) {
        diagnostics[Layer(*block, consumer).name] = {
            {"awq_scale.ratio", found[group]->ratio},
            {"awq_scale.loss_unscaled", found[group]->loss_unscaled},
            {"awq_scale.loss", found[group]->loss}};
      }
    }
    return diagnostics;
  }

 private:
  static const TransformLayer& Layer(const TransformBlock& block, Index layer) {
    return block.layers[static_cast<std::size_t>(layer)];
  }

  // The ratios are tried from 0 up and only a smaller loss replaces the best.
  Found Search(const TransformBlock& block, Index index, const TransformContext& context) const {
    const TransformGroup& group = block.groups[static_cast<std::size_t>(index)];
    DAQ_CHECK(group.statistics != nullptr, "awq_scale needs calibration data");
    DAQ_CHECK(!group.in_module || context.module_error, "a module's error is asked for");
    const VectorF mean_absolute = group.statistics->mean_absolute().cast<float>();
    const ScaledRounding rounding(rules_, context.format);
    std::vector<MatrixF> rounded;
    for (const Index consumer : group.consumers) {
      const MatrixF& weight = Layer(block, consumer).weight;
      DAQ_CHECK(weight.cols() == mean_absolute.size(), "consumers read the group's input");
      GroupsPerRow(context.format, weight.cols(), Layer(block, consumer).name);
      if (group.in_module) rounded.emplace_back(weight.rows(), weight.cols());
    }
    Found best;
    for (std::int64_t i = 0; i < grid_points_; ++i) {
      const double ratio = static_cast<double>(i) / static_cast<double>(grid_points_);
      VectorF scale = ScaleOf(mean_absolute, static_cast<float>(ratio));
      const double loss = group.in_module
                              ? ModuleLoss(block, index, context, rounding, scale, &rounded)
                              : LayerLoss(block, group, context, rounding, scale);
      if (i == 0) best.loss_unscaled = loss;
      if (!(loss < best.loss)) continue;
      best.scale = std::move(scale);
      best.ratio = ratio;
      best.loss = loss;
    }
    if (best.scale.size() == 0) {
      throw InputError({Layer(block, group.consumers.front()).name}, "transform.awq_scale",
                       "weights and activations whose error fits in float32",
                       fmt::format("{}", best.loss_unscaled));
    }
    return best;
  }

  double ModuleLoss(const TransformBlock& block, Index index, const TransformContext& context,
                    const ScaledRounding& rounding, const VectorF& scale,
                    std::vector<MatrixF>* rounded) const {
    const TransformGroup& group = block.groups[static_cast<std::size_t>(index)];
    for (std::size_t i = 0; i < rounded->size(); ++i) {
      const MatrixF& weight = Layer(block, group.consumers[i]).weight;
      MatrixF& result = (*rounded)[i];
      context.pool->ParallelFor(
          (weight.rows() + kRowsPerItem - 1) / kRowsPerItem, [&](Index item, int) {
            const Index first = item * kRowsPerItem;
            rounding.Rows(weight, scale, first,
                          result.middleRows(first, std::min(kRowsPerItem, weight.rows() - first)));
          });
    }
    return context.module_error(index, *rounded);
  }

  // The mean over tokens and outputs of the squared error of the layer's own output.
  static double LayerLoss(const TransformBlock& block, const TransformGroup& group,
                          const TransformContext& context, const ScaledRounding& rounding,
                          const VectorF& scale) {
    double sum = 0;
    Index outputs = 0;
    for (const Index consumer : group.consumers) {
      const MatrixF& weight = Layer(block, consumer).weight;
      outputs += weight.rows();
      sum += SquaredOutputs(
          weight.rows(),
          [&](Index first, MatrixView rows) {
            rounding.Rows(weight, scale, first, rows);
            rows -= weight.middleRows(first, rows.rows());
          },
          *group.statistics, context.pool);
    }
    return sum / (static_cast<double>(group.statistics->tokens()) * static_cast<double>(outputs));
  }

  static void Rescale(const Found& found, TransformGroup* group, TransformBlock* block) {
    for (const Index consumer : group->consumers) {
      MatrixF& weight = block->layers[static_cast<std::size_t>(consumer)].weight;
      weight.array().rowwise() *= found.scale.transpose().array();
    }
    if (group->producer_norm >= 0) {
      VectorF& norm = block->norms[static_cast<std::size_t>(group->producer_norm)];
      DAQ_CHECK(norm.size() == found.scale.size(), "a norm element a channel");
      norm.array() /= found.scale.array();
    } else {
      MatrixF& weight = block->layers[static_cast<std::size_t>(group->producer_layer)].weight;
      DAQ_CHECK(weight.rows() == found.scale.size(), "an output row a channel");
      weight.array().colwise() /= found.scale.array();
    }
    group->input_divisor = found.scale;
  }

  GridRules rules_;
  std::int64_t grid_points_;
};

}  // namespace

std::span<const SettingSpec> AwqScaleSettings();
std::unique_ptr<Transform> MakeAwqScale(const Settings& settings);

std::span<const SettingSpec> AwqScaleSettings() {
  static const std::array<SettingSpec, kGridRuleCount> rules = GridRuleSpecs();
  static const std::array<SettingSpec, 3> specs = {
      SettingSpec{.name = "grid_points",
                  .default_value = std::int64_t{20},
                  .lowest = 1,
                  .highest = 1000,
                  .meaning = "ratios are i / grid_points from 0 to below 1: more points, finer and "
                             "slower search; 1 = no scaling",
                  .source = "llm-awq auto_scale.py, n_grid=20"},
      rules[0], rules[1]};
  return specs;
}

std::unique_ptr<Transform> MakeAwqScale(const Settings& settings) {
  return std::make_unique<AwqScale>(settings);
}

}  // namespace daq
