#pragma once
#include <vector>

#include "base/work.h"
#include "harness/workload.h"

namespace daq {

// Work of evaluating these cells, full precision's passes included that run only because others are
// compared with it: its own cell may be done while its states are gone.
Work EvaluationWorkOf(const Workload& work, const std::vector<const Cell*>& cells);

// Bytes on disk of the full-precision states that these cells are compared with.
std::uint64_t ReferenceBytes(const Workload& work, const std::vector<const Cell*>& cells);

}  // namespace daq
