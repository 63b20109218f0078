#include "harness/estimate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "eval/block_forward.h"
#include "eval/block_weights.h"
#include "eval/window_scores.h"
#include "harness/progress.h"

namespace daq {
namespace {

// Code, libraries, tokens, allocator slack: measured at 30 to 46 MiB for small models.
constexpr std::uint64_t kProgramBytes = 36ULL << 20U;

// What rewriting a block needs besides what is counted: measured, 9 to 10 MiB for two small models.
constexpr double kRewriteBytes = 9 << 20;

// How much more a product in double costs than one in float32.
constexpr double kDoubleCost = 2.5;

// Of the rate of plain products.
constexpr double kForwardShare = 0.85;

double BlockWeightCount(const ModelConfig& config) {
  double weights = 0;
  for (const LinearLayer layer : kLinearLayers) {
    const MatrixShape shape = LinearLayerShape(config, layer);
    weights += static_cast<double>(shape.out_features) * static_cast<double>(shape.in_features);
  }
  return weights;
}

}  // namespace

double BlockFlops(const ModelConfig& config, Index windows, Index window_tokens) {
  const auto tokens = static_cast<double>(windows) * static_cast<double>(window_tokens);
  // q k^T and p v: 2 operations each for half of window_tokens keys on average.
  const double attention =
      2.0 * static_cast<double>(window_tokens) * static_cast<double>(config.query_size());
  return tokens * (2 * BlockWeightCount(config) + attention);
}

double HeadFlops(const ModelConfig& config, Index windows, Index window_tokens) {
  return 2.0 * static_cast<double>(windows) * static_cast<double>(window_tokens - 1) *
         static_cast<double>(config.vocab_size) * static_cast<double>(config.hidden_size);
}

Work BlockWork(const ModelConfig& config, Index windows, Index window_tokens) {
  return Products(BlockFlops(config, windows, window_tokens) / kForwardShare);
}

Work HeadWork(const ModelConfig& config, Index windows, Index window_tokens, bool compared) {
  return Products((compared ? 2 : 1) * HeadFlops(config, windows, window_tokens) / kForwardShare);
}

Work EvaluationWork(const ModelConfig& config, Index windows, Index window_tokens, bool compared) {
  return BlocksWork(config, config.num_layers, windows, window_tokens) +
         HeadWork(config, windows, window_tokens, compared);
}

Work BlocksWork(const ModelConfig& config, Index blocks, Index windows, Index window_tokens) {
  return static_cast<double>(blocks) *
         (ReadWork(config) + BlockWork(config, windows, window_tokens));
}

Work ReadWork(const ModelConfig& config) { return Nanoseconds(2 * BlockWeightCount(config)); }

MemoryEstimate EvaluationMemory(const ModelConfig& config, Index windows, Index window_tokens,
                                int threads, bool compared) {
  const std::uint64_t forward =
      BlockWeightBytes(config) +
      BlockForward::WorkspaceBytes(config, windows, window_tokens, threads);
  return {.fixed_bytes = kProgramBytes + std::max(forward, ScoreWindowsBytes(config, window_tokens,
                                                                             threads, compared)),
          .states_bytes =
              (compared ? 2 : 1) * HiddenStates::Bytes(windows, window_tokens, config.hidden_size)};
}

namespace {

// Features of the four inputs of a block, by LinearInput.
std::array<Index, 4> InputFeatures(const ModelConfig& config) {
  std::array<Index, 4> features{};
  for (const LinearInput input : kLinearInputs) {
    features[static_cast<std::size_t>(input)] =
        LinearLayerShape(config, FirstReaderOf(input)).in_features;
  }
  return features;
}

// Of the statistics of one input.
std::uint64_t StatisticsBytes(Index in_features, Index tokens) {
  const auto features = static_cast<std::uint64_t>(in_features);
  return tokens <= in_features ? features * static_cast<std::uint64_t>(tokens) * sizeof(float)
                               : features * features * sizeof(double);
}

}  // namespace

WindowShape ShapeOf(const TokenWindows* windows) {
  return windows == nullptr ? WindowShape{} : WindowShape{windows->count(), windows->window_tokens};
}

MemoryEstimate QuantizeMemory(const ModelConfig& config, const QuantizePassShape& pass,
                              int threads) {
  const auto states = [&](Index windows, Index window_tokens) {
    return HiddenStates::Bytes(windows, window_tokens, config.hidden_size);
  };
  MemoryEstimate estimate{
      .fixed_bytes = kProgramBytes + BlockWeightBytes(config) + pass.recipe_bytes,
      // Inputs and outputs of two modules.
      .states_bytes = 4 * states(pass.module_windows, pass.calibration.window_tokens)};
  for (const WindowShape& shape : {pass.calibration, pass.held_out}) {
    if (shape.windows == 0) continue;
    const Index tokens = shape.windows * shape.window_tokens;
    estimate.fixed_bytes +=
        BlockForward::WorkspaceBytes(config, shape.windows, shape.window_tokens, threads);
    for (const Index features : InputFeatures(config))
      estimate.fixed_bytes += StatisticsBytes(features, tokens);
    estimate.states_bytes += states(shape.windows, shape.window_tokens);
  }
  return estimate;
}

namespace {

LayerSize SizeOf(const ModelConfig& config, LinearLayer layer, const RecipeShape& recipe) {
  const MatrixShape shape = LinearLayerShape(config, layer);
  const Index group = recipe.format->group_size;
  return {.out_features = shape.out_features,
          .in_features = shape.in_features,
          .group_length = group == 0 ? shape.in_features : group,
          .codes = static_cast<Index>(recipe.format->codebook.values.size()),
          .tokens = recipe.calibration.windows * recipe.calibration.window_tokens,
          .is_first_of_input = layer == FirstReaderOf(InputOf(layer))};
}

}  // namespace

std::uint64_t RecipeBytes(const ModelConfig& config, const std::vector<RecipeShape>& recipes,
                          int threads) {
  // Parts of one kind share what they keep: by layer that reads an input first, group length,
  // tokens, and whether it is the range's.
  std::map<std::tuple<LinearLayer, Index, Index, bool>, double> kept;
  const auto block = static_cast<double>(BlockWeightBytes(config));
  double most = 0;
  for (const RecipeShape& recipe : recipes) {
    const Transform& transform = *recipe.parts->transform;
    double scratch = 0;
    for (const LinearLayer layer : kLinearLayers) {
      const LayerSize size = SizeOf(config, layer, recipe);
      const Footprint range = recipe.parts->range->Memory(size, threads);
      const Footprint rounding = recipe.parts->rounding->Memory(size, threads);
      // Also codes before they are packed, and packed.
      scratch = std::max(scratch, 2 * size.weights() + range.scratch + rounding.scratch);
      if (!size.is_first_of_input) continue;
      for (const auto& [is_range, bytes] : {std::pair(true, range), std::pair(false, rounding)}) {
        double& known = kept[{layer, size.group_length, size.tokens, is_range}];
        known = std::max(known, bytes.kept);
      }
    }
    // The rewritten block, and the statistics of its inputs.
    if (!transform.is_identity()) {
      scratch += kRewriteBytes + block +
                 static_cast<double>(StatisticsBytes(
                     config.intermediate_size,
                     recipe.calibration.windows * recipe.calibration.window_tokens));
    }
    const auto packed = static_cast<double>(QuantizedBytes(config, *recipe.format)) /
                        static_cast<double>(config.num_layers);
    most = std::max(most, packed + std::max(scratch, transform.block_copies() * block));
  }
  for (const auto& [where, bytes] : kept) most += bytes;
  return static_cast<std::uint64_t>(most);
}

namespace {

// Products of a layer's weights with what is kept of the inputs.
Work OutputWork(const LayerSize& size, Index tokens) {
  const bool keeps_rows = tokens <= size.in_features;
  return Products(2 * size.weights() * static_cast<double>(std::min(tokens, size.in_features)) *
                  (keeps_rows ? 1 : kDoubleCost));
}

}  // namespace

Work CalibrationWork(const ModelConfig& config, WindowShape windows) {
  if (windows.windows == 0) return {};
  const Index tokens = windows.windows * windows.window_tokens;
  Work work = BlockWork(config, windows.windows, windows.window_tokens);
  for (const Index features : InputFeatures(config)) {
    const auto size = static_cast<double>(features);
    if (tokens > features)
      work += Products(kDoubleCost * 2 * static_cast<double>(tokens) * size * size);
  }
  return work;
}

Work QuantizeWork(const ModelConfig& config, const RecipeShape& recipe, WindowShape held_out) {
  const RecipeParts& parts = *recipe.parts;
  const WindowShape& calibration = recipe.calibration;
  const Index tokens = calibration.windows * calibration.window_tokens;
  const auto evaluations = static_cast<double>(parts.transform->evaluations());
  Work work;
  for (const LinearLayer layer : kLinearLayers) {
    const LayerSize size = SizeOf(config, layer, recipe);
    // Reports compare the recipe's and rtn's errors with the outputs.
    work += Nanoseconds(20 * size.weights());
    for (const Index seen : {tokens, held_out.windows * held_out.window_tokens})
      work += 2 * OutputWork(size, seen);
    work += parts.range->Cost(size) + parts.rounding->Cost(size);
    work += evaluations * (Nanoseconds(3 * size.weights()) + 0.25 * OutputWork(size, tokens));
  }
  return work + evaluations * BlockWork(config, calibration.windows, calibration.window_tokens);
}

std::uint64_t LinearWeights(const ModelConfig& config) {
  return static_cast<std::uint64_t>(BlockWeightCount(config)) *
         static_cast<std::uint64_t>(config.num_layers);
}

std::uint64_t QuantizedBytes(const ModelConfig& config, const Format& format) {
  std::uint64_t bits = 0;
  for (const LinearLayer layer : kLinearLayers) {
    const MatrixShape shape = LinearLayerShape(config, layer);
    const Index groups = format.group_size == 0 ? 1 : shape.in_features / format.group_size;
    const Index grid_bits = format.symmetric ? 32 : 64;
    bits += static_cast<std::uint64_t>(
        shape.out_features * (shape.in_features * format.codebook.bits + groups * grid_bits));
  }
  return bits / 8 * static_cast<std::uint64_t>(config.num_layers);
}

bool StatesFitInMemory(const MemoryEstimate& estimate, std::uint64_t memory_budget_bytes) {
  if (estimate.fixed_bytes > memory_budget_bytes) {
    throw InputError({}, "memory_budget",
                     // Rounded up, in a form that the option takes.
                     fmt::format("at least {}MiB for this model, window and number of threads",
                                 (estimate.fixed_bytes + (1U << 20U) - 1) >> 20U),
                     FormatBytes(static_cast<double>(memory_budget_bytes)));
  }
  return estimate.fixed_bytes + estimate.states_bytes <= memory_budget_bytes;
}

}  // namespace daq
