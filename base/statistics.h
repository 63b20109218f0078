#pragma once
#include <span>

namespace daq {

// Arithmetic mean in double; values must not be empty.
double Mean(std::span<const double> values);

// Standard error of the mean: sqrt(sum (v - mean)^2 / (n - 1) / n). NaN for fewer than two values.
double StandardError(std::span<const double> values);

// The mean of window losses, weighted by the number of each window's scored tokens, so that every
// token counts the same. No weights, here and below: all windows have as many.
double MeanLoss(std::span<const double> window_losses, std::span<const double> weights = {});

// exp(MeanLoss), losses in nats; for windows of one length the perplexity of IST-DASLab/gptq's
// llama_eval.
double Perplexity(std::span<const double> window_losses, std::span<const double> weights = {});

// Standard error of Perplexity by the delta method: perplexity * the standard error of the mean,
// StandardError(window_losses) or, weighted, that of the ratio sum(weight * loss) / sum(weight).
// Windows, not tokens, are the unit: tokens inside a window are not independent.
double PerplexityStandardError(std::span<const double> window_losses,
                               std::span<const double> weights = {});

// The difference of two perplexities over the same windows, a - b, with its paired standard error.
struct PairedDifference {
  double value = 0;
  double standard_error = 0;  // NaN for fewer than two windows
};

// Delta method on the pairs: the standard error of the mean of P(a) * a_w - P(b) * b_w. Far smaller
// than either perplexity's own where the windows' difficulties cancel. a and b have the same
// length, not empty.
PairedDifference PerplexityDifference(std::span<const double> a, std::span<const double> b,
                                      std::span<const double> weights = {});

}  // namespace daq
