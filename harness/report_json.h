#pragma once
#include <nlohmann/json.hpp>

#include "methods/layer_report.h"

namespace daq {

// A layer's diagnostics under the names of LayerReport's members; absent output errors are left
// out.
nlohmann::ordered_json ToJson(const LayerReport& report);

// The inverse. Throws nlohmann::json::exception on other content (these files are the program's
// own).
LayerReport LayerReportFromJson(const nlohmann::ordered_json& json);

}  // namespace daq
