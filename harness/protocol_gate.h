#pragma once
#include <string>

#include "harness/experiment.h"
#include "harness/published.h"

namespace daq {

// How far full precision may lie from its published perplexity, relatively. The same protocol on
// the same checkpoint gives the printed digits, so 1 % is another text, tokenizer or window.
inline constexpr double kGateTolerance = 0.01;

// Why full precision's `perplexity` (by words where the protocol's published values are) on an
// evaluation cannot be of the protocol that it is said to be of: off by more than the tolerance
// from every published value of that model. Empty if all is well, or nothing is published of it.
std::string GateProblem(const std::vector<PublishedValue>& published, const std::string& model,
                        const EvaluationRequest& evaluation, double perplexity);

}  // namespace daq
