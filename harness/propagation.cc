#include "harness/propagation.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace daq {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"full_precision", "quantized",
                                                    "quantized_within_block"};
constexpr std::array<Propagation, kNames.size()> kValues = {
    Propagation::kFullPrecision, Propagation::kQuantized, Propagation::kQuantizedWithinBlock};

}  // namespace

std::span<const std::string_view> PropagationNames() { return kNames; }

std::string_view PropagationName(Propagation propagation) {
  const auto* found = std::find(kValues.begin(), kValues.end(), propagation);
  DAQ_CHECK(found != kValues.end(), "a propagation");
  return kNames.at(static_cast<std::size_t>(found - kValues.begin()));
}

Propagation PropagationOf(std::string_view name) {
  const auto* found = std::find(kNames.begin(), kNames.end(), name);
  DAQ_CHECK(found != kNames.end(), name);
  return kValues.at(static_cast<std::size_t>(found - kNames.begin()));
}

}  // namespace daq
