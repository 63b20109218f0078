#pragma once
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace daq {

// What a part has to say of its own work on one layer, beside the report that every layer gets:
// "daq.loss_end" and the like. Names begin with the part's, so that those of a transform, range and
// rounding lie beside each other; each has a DiagnosticSpec and is explained in docs/methods.md or
// docs/daq.md.
using Diagnostics = std::map<std::string, double>;

// What a diagnostic of some groups of a layer and that of its other groups make up together.
enum class DiagnosticJoin {
  kSum,
  kMean,  // over groups; also of what is the same for all
};

// One diagnostic of a part, as `inspect` explains it.
struct DiagnosticSpec {
  std::string_view name;
  DiagnosticJoin join = DiagnosticJoin::kSum;
  std::string_view meaning;  // one line, with the unit
};

// Diagnostics of parts of one layer, joined to what they are of the whole. A rounding that asks its
// range for some groups at a time needs it.
class JoinedDiagnostics {
 public:
  // Needs a spec of every name that will be added.
  explicit JoinedDiagnostics(std::span<const DiagnosticSpec> specs) : specs_(specs) {}

  // Adds what was found on `groups` > 0 groups. A single call's values are kept to the bit.
  void Add(const Diagnostics& found, double groups);

  Diagnostics Values() const;

 private:
  struct Joined {
    double value = 0;
    double groups = 0;
  };
  std::span<const DiagnosticSpec> specs_;
  std::map<std::string, Joined> joined_;
};

}  // namespace daq
