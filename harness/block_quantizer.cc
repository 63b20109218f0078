#include "harness/block_quantizer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"

namespace daq {
namespace {

// A transform's view of a block: which layers read one input, and what computes it.
struct GroupShape {
  LinearInput input;
  std::vector<LinearLayer> consumers;
  Index producer_norm;
  bool in_module;
};

const std::array<GroupShape, 4>& GroupShapes() {
  static const std::array<GroupShape, 4> shapes = {{
      {LinearInput::kAttention,
       {LinearLayer::kQuery, LinearLayer::kKey, LinearLayer::kValue},
       0,
       true},
      {LinearInput::kOutput, {LinearLayer::kOutput}, -1, false},
      {LinearInput::kMlp, {LinearLayer::kGate, LinearLayer::kUp}, 1, true},
      {LinearInput::kDown, {LinearLayer::kDown}, -1, false},
  }};
  return shapes;
}

std::size_t At(LinearLayer layer) { return static_cast<std::size_t>(layer); }
std::size_t At(LinearInput input) { return static_cast<std::size_t>(input); }

// The layer whose output rows are the channels of `input`; none for the norms' outputs. o is scaled
// through v only where their weights have one shape, as llm-awq has it: not under grouped-query
// attention, where v's rows are shared, and not where the heads together are not as wide as the
// hidden state.
std::optional<LinearLayer> ProducerOf(const ModelConfig& config, LinearInput input) {
  if (input == LinearInput::kDown) return LinearLayer::kUp;
  const MatrixShape value = LinearLayerShape(config, LinearLayer::kValue);
  const MatrixShape output = LinearLayerShape(config, LinearLayer::kOutput);
  if (input == LinearInput::kOutput && value.out_features == output.out_features &&
      value.in_features == output.in_features) {
    return LinearLayer::kValue;
  }
  return std::nullopt;
}

}  // namespace

BlockQuantizer::BlockQuantizer(const RecipeParts& parts, const Format& format,
                               const ModelConfig& config, Index block, const BlockWeights& original,
                               ThreadPool* pool)
    : parts_(parts),
      format_(format),
      config_(config),
      block_(block),
      original_(original),
      pool_(pool),
      layers_(kLinearLayers.size()),
      reports_(kLinearLayers.size()) {}

BlockWeights* BlockQuantizer::Own() {
  if (!own_) own_ = std::make_unique<BlockWeights>(original_);
  return own_.get();
}

const BlockWeights& BlockQuantizer::weights() {
  for (const LinearLayer layer : kLinearLayers) {
    const QuantizedMatrix& matrix = layers_[At(layer)];
    if (matrix.out_features > 0) Dequantize(matrix, Own()->Layer(config_, layer), pool_);
  }
  return own_ ? *own_ : original_;
}

TransformBlock BlockQuantizer::MakeTransformBlock(const BlockCalibration& calibration) {
  TransformBlock block;
  block.name = "model.layers." + std::to_string(block_);
  for (const LinearLayer layer : kLinearLayers) {
    block.layers.push_back(
        {.name = LinearLayerName(block_, layer), .weight = original_.Layer(config_, layer)});
  }
  block.norms = {original_.attention_norm, original_.mlp_norm};
  for (const GroupShape& shape : GroupShapes()) {
    TransformGroup group;
    group.producer_norm = shape.producer_norm;
    group.statistics = calibration.statistics[At(shape.input)];
    group.in_module = shape.in_module;
    for (const LinearLayer consumer : shape.consumers)
      group.consumers.push_back(static_cast<Index>(At(consumer)));
    if (const std::optional<LinearLayer> producer = ProducerOf(config_, shape.input))
      group.producer_layer = static_cast<Index>(At(*producer));
    block.groups.push_back(std::move(group));
  }
  return block;
}

// `trial_` differs from the original only while one group is looked at.
double BlockQuantizer::ModuleError(const BlockCalibration& calibration, const TransformGroup& group,
                                   std::span<const MatrixF> consumer_weights) {
  for (std::size_t i = 0; i < group.consumers.size(); ++i) {
    const LinearLayer layer = kLinearLayers[static_cast<std::size_t>(group.consumers[i])];
    trial_->Layer(config_, layer) = consumer_weights[i];
  }
  const LinearInput input = InputOf(kLinearLayers[static_cast<std::size_t>(group.consumers[0])]);
  return calibration.module_error(input, *trial_);
}

void BlockQuantizer::Transform(const BlockCalibration& calibration) {
  if (parts_.transform->is_identity()) return;
  TransformBlock block = MakeTransformBlock(calibration);
  TransformContext context{.format = format_, .pool = pool_, .module_error = {}};
  if (calibration.module_error) {
    trial_ = std::make_unique<BlockWeights>(original_);
    context.module_error = [&](Index group, std::span<const MatrixF> consumer_weights) {
      return ModuleError(calibration, block.groups[static_cast<std::size_t>(group)],
                         consumer_weights);
    };
  }
  diagnostics_ = parts_.transform->Apply(&block, context);
  own_ = trial_ ? std::move(trial_) : std::make_unique<BlockWeights>(original_);
  for (const LinearLayer layer : kLinearLayers)
    own_->Layer(config_, layer) = block.layers[At(layer)].weight;
  own_->attention_norm = block.norms[0];
  own_->mlp_norm = block.norms[1];
  for (std::size_t i = 0; i < block.groups.size(); ++i)
    input_divisor_[i] = std::move(block.groups[i].input_divisor);
}

void BlockQuantizer::QuantizeLayers(LinearInput input, const LayerStatistics* statistics,
                                    bool transformed, const LayerStatistics* held_out) {
  const VectorF& divisor = input_divisor_[At(input)];
  std::optional<LayerStatistics> divided;
  if (statistics != nullptr && !transformed && divisor.size() > 0)
    statistics = &divided.emplace(statistics->Divided(divisor));
  std::optional<LayerStatistics> divided_held_out;
  if (held_out != nullptr && divisor.size() > 0)
    held_out = &divided_held_out.emplace(held_out->Divided(divisor));
  for (const LinearLayer layer : GroupShapes()[At(input)].consumers)
    QuantizeOne(layer, statistics, held_out);
}

LayerCoordinates BlockQuantizer::CoordinatesOf(LinearLayer layer) const {
  LayerCoordinates coordinates{.column_factor = input_divisor_[At(InputOf(layer))]};
  for (const GroupShape& shape : GroupShapes()) {
    if (ProducerOf(config_, shape.input) == layer)
      coordinates.row_divisor = input_divisor_[At(shape.input)];
  }
  return coordinates;
}

// Of the layer's squared output `error` on the statistics of `context`. Nothing of nothing is no
// worse.
std::optional<double> BlockQuantizer::ErrorVsRtn(LinearLayer layer, double error,
                                                 const LayerContext& context) {
  const double rtn = RtnSquaredOutputError(original_.Layer(config_, layer), format_,
                                           CoordinatesOf(layer), context);
  if (rtn > 0) return error / rtn;
  return error == 0 ? std::optional(1.0) : std::nullopt;
}

void BlockQuantizer::QuantizeOne(LinearLayer layer, const LayerStatistics* statistics,
                                 const LayerStatistics* held_out) {
  const LayerContext context{
      .name = LinearLayerName(block_, layer), .statistics = statistics, .pool = pool_};
  const BlockWeights& now = own_ ? *own_ : original_;
  QuantizedLayer quantized = QuantizeLayer(parts_, format_, now.Layer(config_, layer), context);
  LayerReport& report = quantized.report;
  if (report.output_mse) {
    const double error = *report.output_mse * static_cast<double>(statistics->tokens()) *
                         static_cast<double>(quantized.matrix.out_features);
    report.output_error_vs_rtn = ErrorVsRtn(layer, error, context);
  }
  if (held_out != nullptr) {
    const LayerContext unseen{.name = context.name, .statistics = held_out, .pool = pool_};
    const double error = SquaredOutputError(now.Layer(config_, layer), quantized.matrix, unseen);
    report.held_out_mse = error / (static_cast<double>(held_out->tokens()) *
                                   static_cast<double>(quantized.matrix.out_features));
    report.held_out_error_vs_rtn = ErrorVsRtn(layer, error, unseen);
  }
  report.diagnostics.merge(diagnostics_[report.layer]);
  layers_[At(layer)] = std::move(quantized.matrix);
  reports_[At(layer)] = std::move(report);
}

std::pair<QuantizedBlock, QuantizedBlockReport> BlockQuantizer::Take() {
  const BlockWeights& now = own_ ? *own_ : original_;
  QuantizedBlockReport report;
  for (const QuantizedMatrix& layer : layers_) report.stored_bits += StoredBits(layer);
  report.layers = std::move(reports_);
  QuantizedBlock block{
      .attention_norm = now.attention_norm, .mlp_norm = now.mlp_norm, .layers = std::move(layers_)};
  return {std::move(block), std::move(report)};
}

}  // namespace daq
