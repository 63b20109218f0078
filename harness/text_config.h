#pragma once
#include <filesystem>
#include <optional>
#include <vector>

#include "harness/experiment.h"
#include "harness/yaml_value.h"

namespace daq {

// `calibration:`: none (nothing), or {protocol, file or dataset and dataset_file, windows,
// window_tokens, seed}. Files are taken relative to `folder`, the config's own; whether they exist
// shows when they are read.
std::optional<CalibrationRequest> ReadCalibration(const YamlValue& value,
                                                  const std::filesystem::path& folder);

// `evaluate:`: a list of protocols, by id or {protocol, name, file or dataset and dataset_file,
// window_tokens, max_windows}, each with a name of its own.
std::vector<EvaluationRequest> ReadEvaluations(const YamlValue& value,
                                               const std::filesystem::path& folder);

}  // namespace daq
