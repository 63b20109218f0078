#pragma once
#include <optional>
#include <string>
#include <vector>

#include "harness/estimate.h"
#include "harness/quantize_stage.h"
#include "harness/workload.h"

namespace daq {

// Quantised arms that one pass over the model serves: their calibration windows are the first of
// one list, or they have none.
struct ArmFamily {
  QuantizeTexts texts;  // the calibration of the arm with most
  std::vector<const Arm*> arms;
};

// The family of candidates.front(), all of one model with it; the candidates keep their order. Full
// precision has no place among them.
ArmFamily FamilyOf(const Workload& work, const std::vector<const Arm*>& candidates);

// Adds an arm that is quantised and not there yet. Returns true if it was added.
bool AddQuantizedArm(const Arm& arm, std::vector<const Arm*>* arms);

// The candidates in families, in the order in which a run serves them.
std::vector<ArmFamily> FamiliesOf(const Workload& work, std::vector<const Arm*> candidates);

// Rough work of quantising these families (harness/estimate.h), or only so many blocks of them.
Work QuantizeWorkOf(const Workload& work, const std::vector<ArmFamily>& families,
                    std::optional<Index> blocks = {});

// The memory of the pass that quantises a family (harness/estimate.h).
MemoryEstimate QuantizeMemoryOf(const Workload& work, const ArmFamily& family, int threads);

// The jobs that quantise a family, into `folder`/<arm's id>.
std::vector<QuantizeJob> JobsOf(const Workload& work, const ArmFamily& family,
                                const std::filesystem::path& folder);

// An arm's calibration windows; null if it has none.
const TokenWindows* CalibrationWindows(const Workload& work, const Arm& arm);

// The windows on which its layer reports measure errors too; null if there are none. A config has
// one such text, so all arms of a model share it.
const TokenWindows* HeldOutWindows(const Workload& work, const Arm& arm);

}  // namespace daq
