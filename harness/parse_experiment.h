#pragma once
#include <filesystem>
#include <string_view>

#include "harness/experiment.h"

namespace daq {

// ReadExperimentFile of a file that is in memory: `path` gives the name, the folder that relative
// files are below, and what messages call it.
ExperimentFile ParseExperiment(std::string_view text, const std::filesystem::path& path);

}  // namespace daq
