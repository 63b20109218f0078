#pragma once
#include <string>

#include "harness/run.h"

namespace daq {

// What a run of the experiment would do, as text: every cell and whether it is done, inputs that
// are missing with the commands that get them, and for what is left the operations, time on this
// machine, memory, disk and what full precision is compared with. Computes nothing of the models;
// measures the machine's product rate for a third of a second.
std::string PlanExperiment(const ExperimentFile& experiment, const RunOptions& options);

}  // namespace daq
