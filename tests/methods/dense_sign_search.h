#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "base/matrix.h"
#include "methods/encode.h"
#include "methods/format.h"
#include "methods/output_loss.h"
#include "methods/sign_search.h"

// DAQ's stage 2 as its definition reads (docs/daq.md): every probe quantises all weights and
// multiplies all inputs with them, in double, for every iteration of every epoch. What the fast
// search must agree with.
namespace daq {

struct DenseResult {
  GridPoint point;
  double loss_start = 0;
  double loss_end = 0;
  // How far rounding of the outputs, by 1e-12 of them, moves a loss: both are sums of squared
  // differences of outputs.
  double uncertainty = 0;
  // The least relative difference of two losses that a decision compared: below what rounding may
  // change, another order of additions may decide otherwise.
  double closest = std::numeric_limits<double>::infinity();
};

class DenseSignSearch {
 public:
  // inputs: [tokens, weights.size()].
  DenseSignSearch(const MatrixF& inputs, std::span<const float> weights, const Format& format)
      : inputs_(inputs), weights_(weights), format_(format), encoder_(format.codebook) {
    output_ = Output(std::vector<double>(weights.begin(), weights.end()));
    for (const double output : output_)
      energy_ += output * output / static_cast<double>(output_.size());
  }

  // mean over tokens of (X w' - X w)^2; no grid that cannot be stored is ever better.
  double Loss(const GridPoint& point) const {
    if (!IsStorable(point, format_.codebook)) return std::numeric_limits<double>::infinity();
    std::vector<std::uint8_t> codes(weights_.size());
    encoder_.Encode(point.scale, point.zero_point, weights_, codes);
    std::vector<double> restored;
    for (const std::uint8_t code : codes) {
      restored.push_back((static_cast<double>(format_.codebook.values[code]) - point.zero_point) *
                         point.scale);
    }
    const std::vector<double> output = Output(restored);
    double sum = 0;
    for (std::size_t token = 0; token < output.size(); ++token)
      sum += (output[token] - output_[token]) * (output[token] - output_[token]);
    return sum / static_cast<double>(output.size());
  }

  // One iteration with step `eps`. Returns true if the point moved.
  bool Step(double eps, GridPoint* point) {
    double& s = point->scale;
    double& z = point->zero_point;
    bool moved = false;
    if (!format_.symmetric) {
      const int side = BetterSide(Loss({s, z}), Loss({s, z - eps}), Loss({s, z + eps}));
      if (side != 0) z += eps * side;
      moved = side != 0;
    }
    const int side = BetterSide(Loss({s, z}), Loss({s * (1 - eps), z}), Loss({s * (1 + eps), z}));
    if (side != 0) s *= 1 + eps * side;
    return moved || side != 0;
  }

  DenseResult Run(const GridPoint& start, const SignSearchOptions& options) {
    closest_ = std::numeric_limits<double>::infinity();
    GridPoint point = start;
    for (Index epoch = 0; epoch < options.epochs; ++epoch) {
      double narrow = options.initial_step / options.rate;
      double wide = options.initial_step * options.rate;
      for (Index j = 0; j < options.iterations; ++j) {
        double& eps = j % 2 == 1 ? narrow : wide;
        eps *= j % 2 == 1 ? options.shrink : options.grow;
        Step(eps, &point);
      }
    }
    const double loss_start = Loss(start);
    return {.point = point,
            .loss_start = loss_start,
            .loss_end = Loss(point),
            .uncertainty = 1e-12 * std::sqrt(loss_start * energy_),
            .closest = closest_};
  }

  // The least relative difference that decided anything since Run began, or ever.
  double closest() const { return closest_; }

 private:
  std::vector<double> Output(const std::vector<double>& weights) const {
    std::vector<double> output;
    for (Index token = 0; token < inputs_.rows(); ++token) {
      double sum = 0;
      for (std::size_t i = 0; i < weights.size(); ++i)
        sum += static_cast<double>(inputs_(token, static_cast<Index>(i))) * weights[i];
      output.push_back(sum);
    }
    return output;
  }

  // -1, 1, or 0 where neither improves or both are equal.
  int BetterSide(double middle, double left, double right) {
    Compare(left, middle);
    Compare(right, middle);
    if (!(std::min(left, right) < middle)) return 0;
    Compare(left, right);
    if (left == right) return 0;
    return left < right ? -1 : 1;
  }

  void Compare(double a, double b) {
    const double larger = std::max(a, b);
    // Both exactly 0: without inputs no order of additions makes a difference.
    if (larger == 0 || std::isinf(larger)) return;
    // Outputs far larger than their errors leave fewer digits to these.
    closest_ =
        std::min(closest_, std::abs(a - b) / std::max(larger, 1e-6 * std::sqrt(larger * energy_)));
  }

  MatrixF inputs_;
  std::span<const float> weights_;
  Format format_;
  Encoder encoder_;
  std::vector<double> output_;
  double energy_ = 0;  // mean of output_^2
  double closest_ = std::numeric_limits<double>::infinity();
};

}  // namespace daq
