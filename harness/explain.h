#pragma once
#include <string>

#include "harness/experiment.h"

namespace daq {

// What a config asks for with every default written out, as text of 100 columns: each quantiser
// with its three parts, each setting with its value, who chose it (the default, the method, the
// config), its meaning and source, and its format; each evaluation and calibration; the points of
// the sweep. What several points share is told once.
std::string Explain(const ExperimentFile& experiment);

}  // namespace daq
