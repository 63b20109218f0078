#pragma once
#include <cmath>
#include <map>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "methods/transform.h"
#include "tests/methods/matrices.h"

// A small decoder block with calibration inputs, for tests of transforms: its function in plain
// double arithmetic, apart from the project's own forward pass.
namespace daq {

// Indices into TransformBlock::layers.
enum : Index { kQuery, kKey, kValue, kOutput, kGate, kUp, kDown };

// x -> x + o(attention(norm(x))) -> that + down(silu(gate(norm)) * up(norm)), one attention head
// without positions. Everything is [tokens, features].
struct BlockActivations {
  MatrixD attention_input;  // what q, k, v read
  MatrixD output_input;     // what o reads
  MatrixD attention;        // the attention module's output, of o
  MatrixD mlp_input;        // what gate and up read
  MatrixD down_input;       // what down reads
  MatrixD mlp;              // the MLP's output, of down
  MatrixD block;            // the block's output
};

inline MatrixD RmsNorm(const MatrixD& x, const VectorF& weight) {
  MatrixD result = x;
  for (Index row = 0; row < x.rows(); ++row)
    result.row(row) /= std::sqrt(x.row(row).squaredNorm() / static_cast<double>(x.cols()) + 1e-6);
  return result.array().rowwise() * weight.cast<double>().transpose().array();
}

inline MatrixD Linear(const MatrixD& x, const MatrixF& weight) {
  return x * weight.cast<double>().transpose();
}

// softmax(q k^T / sqrt(features)) v, causal.
inline MatrixD Attend(const MatrixD& q, const MatrixD& k, const MatrixD& v) {
  MatrixD result(q.rows(), v.cols());
  for (Index token = 0; token < q.rows(); ++token) {
    VectorD score =
        k.topRows(token + 1) * q.row(token).transpose() / std::sqrt(static_cast<double>(q.cols()));
    score = (score.array() - score.maxCoeff()).exp();
    result.row(token) = score.transpose() * v.topRows(token + 1) / score.sum();
  }
  return result;
}

inline MatrixD Gated(const MatrixD& gate, const MatrixD& up) {
  return (gate.array() / (1 + (-gate.array()).exp()) * up.array()).matrix();
}

class TinyBlock {
 public:
  // `features` of the residual stream, twice as many in the MLP. Some channels are far larger than
  // the others, as a model's are, so that scaling pays.
  TinyBlock(Index tokens, Index features, std::uint64_t seed) {
    const Index wide = 2 * features;
    const char* const names[] = {"q_proj", "k_proj", "v_proj", "o_proj", "gate", "up", "down"};
    const Index rows[] = {features, features, features, features, wide, wide, features};
    for (Index i = 0; i < 7; ++i) {
      block.layers.push_back({.name = names[i],
                              .weight = NormalMatrix(rows[i], i == kDown ? wide : features, 0.2,
                                                     seed + static_cast<std::uint64_t>(i))});
    }
    block.layers[kValue].weight.row(5) *= 12.0F;
    block.layers[kUp].weight.row(9) *= 15.0F;
    block.name = "block";
    block.norms.assign(2, VectorF::Ones(features));
    block.norms[0][2] = 9.0F;
    block.norms[0][features - 3] = 25.0F;
    block.norms[1][4] = 12.0F;
    residual = NormalMatrix(tokens, features, 1.0, seed + 10).cast<double>();
    original = Run(block);
    TransformBlock rounded = block;
    std::mt19937_64 generator(seed + 11);
    const auto perturb = [&](float* weights, Index count) {
      for (Index i = 0; i < count; ++i)
        weights[i] *= static_cast<float>(1 + 0x1p-22 * Uniform(&generator));
    };
    for (TransformLayer& layer : rounded.layers) perturb(layer.weight.data(), layer.weight.size());
    for (VectorF& norm : rounded.norms) perturb(norm.data(), norm.size());
    perturbed = Run(rounded);
    for (const MatrixD* input : {&original.attention_input, &original.output_input,
                                 &original.mlp_input, &original.down_input})
      statistics.push_back(StatisticsOf(input->cast<float>()));
    block.groups = {
        {.consumers = {kQuery, kKey, kValue},
         .producer_norm = 0,
         .statistics = &statistics[0],
         .in_module = true},
        {.consumers = {kOutput}, .producer_layer = kValue, .statistics = &statistics[1]},
        {.consumers = {kGate, kUp},
         .producer_norm = 1,
         .statistics = &statistics[2],
         .in_module = true},
        {.consumers = {kDown}, .producer_layer = kUp, .statistics = &statistics[3]}};
  }
  TinyBlock(const TinyBlock&) = delete;  // groups point to statistics
  TinyBlock& operator=(const TinyBlock&) = delete;

  // The block's function, with the weights and norms of `rewritten`.
  BlockActivations Run(const TransformBlock& rewritten) const {
    const auto weight = [&](std::size_t layer) -> const MatrixF& {
      return rewritten.layers[layer].weight;
    };
    BlockActivations a;
    a.attention_input = RmsNorm(residual, rewritten.norms[0]);
    a.output_input =
        Attend(Linear(a.attention_input, weight(kQuery)), Linear(a.attention_input, weight(kKey)),
               Linear(a.attention_input, weight(kValue)));
    a.attention = Linear(a.output_input, weight(kOutput));
    a.mlp_input = RmsNorm(residual + a.attention, rewritten.norms[1]);
    a.down_input = Gated(Linear(a.mlp_input, weight(kGate)), Linear(a.mlp_input, weight(kUp)));
    a.mlp = Linear(a.down_input, weight(kDown));
    a.block = residual + a.attention + a.mlp;
    return a;
  }

  // True if `now`, divided as `divisor` says (empty: not), is what `activation` was, to a small
  // multiple of what rounding the weights does to it.
  bool IsPreserved(MatrixD BlockActivations::*activation, const BlockActivations& now,
                   const VectorF& divisor = {}) const {
    MatrixD found = now.*activation;
    if (divisor.size() > 0)
      found = found.array().rowwise() * divisor.cast<double>().transpose().array();
    const MatrixD& expected = original.*activation;
    const double tolerance = 8 * (perturbed.*activation - expected).cwiseAbs().maxCoeff();
    return (found - expected).cwiseAbs().maxCoeff() <= tolerance &&
           tolerance < 1e-2 * expected.cwiseAbs().maxCoeff();
  }

  // TransformContext::module_error of group 0 or 2.
  double ModuleError(Index group, std::span<const MatrixF> weights) const {
    MatrixD difference;
    if (group == 0) {
      const MatrixD& x = original.attention_input;
      difference =
          Linear(Attend(Linear(x, weights[0]), Linear(x, weights[1]), Linear(x, weights[2])),
                 handed_over.layers[kOutput].weight) -
          original.attention;
    } else {
      const MatrixD& x = original.mlp_input;
      difference = Linear(Gated(Linear(x, weights[0]), Linear(x, weights[1])),
                          handed_over.layers[kDown].weight) -
                   original.mlp;
    }
    return difference.squaredNorm() / static_cast<double>(difference.size());
  }

  // Applies `transform` to `block`.
  std::map<std::string, Diagnostics> Apply(const Transform& transform, const Format& format,
                                           ThreadPool* pool) {
    handed_over = block;
    return transform.Apply(&block,
                           {.format = format,
                            .pool = pool,
                            .module_error = [this](Index group, std::span<const MatrixF> weights) {
                              return ModuleError(group, weights);
                            }});
  }

  TransformBlock block;
  TransformBlock handed_over;  // `block` as Apply was given it
  MatrixD residual;            // the block's input
  BlockActivations original;
  // With every weight off by up to 2^-22 of itself, four times float32's rounding: what a block may
  // differ by whose weights were rounded a few times.
  BlockActivations perturbed;
  std::vector<LayerStatistics> statistics;  // by group
};

}  // namespace daq
