#pragma once
#include <string>

#include "harness/run.h"

namespace daq {

struct Plan {
  std::string text;
  bool runs = false;  // a run would not be refused
};

// What a run of the experiment would do, as text: every cell and whether it is done, what a run is
// refused for (inputs that are missing, with the commands that get them; the memory budget; the
// gate), and for what is left the operations, time on this machine, memory, disk and what full
// precision is compared with. Computes nothing of the models; measures the machine for some two
// seconds where that has not been done before.
Plan PlanExperiment(const ExperimentFile& experiment, const RunOptions& options);

}  // namespace daq
