#pragma once
#include <nlohmann/json.hpp>
#include <string>

namespace daq {

// What of a cell's object (docs/results.md) is not as the program writes it: a key that is absent
// or of another type, a number of windows that is not that of its losses. Empty if all that readers
// of cells take for granted is there; a cell with more keys is as good.
std::string CellProblem(const nlohmann::ordered_json& cell);

}  // namespace daq
