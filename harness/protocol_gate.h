#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "harness/cell_store.h"
#include "harness/experiment.h"
#include "harness/published.h"
#include "harness/workload.h"

namespace daq {

// How far full precision may lie from its published perplexity, relatively. The same protocol on
// the same checkpoint gives the printed digits, so 1 % is another text, tokenizer or window.
inline constexpr double kGateTolerance = 0.01;

// Why full precision's `perplexity` (by words where the protocol's published values are) on an
// evaluation cannot be of the protocol that it is said to be of: off by more than the tolerance
// from every published value of that model. Empty if all is well, or nothing is published of it.
std::string GateProblem(const std::vector<PublishedValue>& published, const std::string& model,
                        const EvaluationRequest& evaluation, double perplexity);

// Full precision's cells of a model that have a published perplexity: its quantised models are
// worked on once all of these are done and none has a GateProblem.
std::vector<std::size_t> GateCells(const Workload& work, std::size_t model);

// Those of them that are not done. Throws InputError if one that is has a GateProblem.
std::vector<std::size_t> OpenGateCells(const Workload& work, std::size_t model,
                                       const CellStore& store);

// One line: what is compared, or why nothing is.
std::string DescribeGate(const Workload& work);

}  // namespace daq
