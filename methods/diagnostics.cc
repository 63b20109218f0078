#include "methods/diagnostics.h"

#include <algorithm>

#include "base/error.h"

namespace daq {

void JoinedDiagnostics::Add(const Diagnostics& found, double groups) {
  for (const auto& [name, value] : found) {
    const auto spec = std::ranges::find(specs_, name, &DiagnosticSpec::name);
    DAQ_CHECK(spec != specs_.end(), name);
    Joined& joined = joined_[name];
    joined.groups += groups;
    // The mean goes on by differences, so that equal values stay what they are.
    joined.value += spec->join == DiagnosticJoin::kSum
                        ? value
                        : (value - joined.value) * (groups / joined.groups);
  }
}

Diagnostics JoinedDiagnostics::Values() const {
  Diagnostics values;
  for (const auto& [name, joined] : joined_) values.emplace(name, joined.value);
  return values;
}

}  // namespace daq
