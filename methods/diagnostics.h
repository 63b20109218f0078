#pragma once
#include <map>
#include <string>

namespace daq {

// What a part has to say of its own work on one layer, beside the report that every layer gets:
// "daq.loss_after" and the like, each name explained in docs/methods.md. Names begin with the
// part's, so that those of a transform, range and rounding lie beside each other.
using Diagnostics = std::map<std::string, double>;

}  // namespace daq
