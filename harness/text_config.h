#pragma once
#include <filesystem>
#include <optional>
#include <vector>

#include "harness/experiment.h"
#include "harness/yaml_value.h"

namespace daq {

// A `calibration:`: what each method's authors use, or one request for all (empty: none).
struct CalibrationChoice {
  bool authors = false;
  std::optional<CalibrationRequest> request = {};
  ConfigPlace place = {};  // of `authors`
};

// `calibration:` of a config or of a recipe: none, authors, or {protocol, file or dataset and
// dataset_file, windows or documents, window_tokens, seed} with the protocol's defaults. Files are
// taken relative to `folder`, the config's own; whether they exist shows when they are read.
CalibrationChoice ReadCalibration(const YamlValue& value, const std::filesystem::path& folder);

// `held_out:`: none, or a map as of `calibration:`.
std::optional<CalibrationRequest> ReadHeldOut(const YamlValue& value,
                                              const std::filesystem::path& folder);

// `evaluate:`: a list of protocols, by id or {protocol, name, file or dataset and dataset_file,
// window_tokens, max_windows}, each with a name of its own.
std::vector<EvaluationRequest> ReadEvaluations(const YamlValue& value,
                                               const std::filesystem::path& folder);

}  // namespace daq
