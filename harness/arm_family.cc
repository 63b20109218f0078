#include "harness/arm_family.h"

#include <algorithm>

#include "base/error.h"

namespace daq {
namespace {

// True if `shorter` is the beginning of `longer`.
bool IsPrefix(const TokenWindows& shorter, const TokenWindows& longer) {
  return shorter.window_tokens == longer.window_tokens && shorter.ids.size() <= longer.ids.size() &&
         std::equal(shorter.ids.begin(), shorter.ids.end(), longer.ids.begin());
}

}  // namespace

const TokenWindows* CalibrationWindows(const Workload& work, const Arm& arm) {
  return arm.calibration ? &work.calibrations[*arm.calibration].windows : nullptr;
}

const TokenWindows* HeldOutWindows(const Workload& work, const Arm& arm) {
  return arm.held_out ? &work.calibrations[*arm.held_out].windows : nullptr;
}

ArmFamily FamilyOf(const Workload& work, const std::vector<const Arm*>& candidates) {
  DAQ_CHECK(!candidates.empty(), "a family has a first arm");
  ArmFamily family;
  family.texts.held_out = HeldOutWindows(work, *candidates.front());
  for (const Arm* arm : candidates) {
    DAQ_CHECK(!arm->recipe.full_precision, "full precision is not quantised");
    if (arm->model != candidates.front()->model) continue;
    const TokenWindows* windows = CalibrationWindows(work, *arm);
    if (windows != nullptr && family.texts.calibration != nullptr) {
      const bool longer = windows->count() > family.texts.calibration->count();
      if (!IsPrefix(longer ? *family.texts.calibration : *windows,
                    longer ? *windows : *family.texts.calibration))
        continue;
      if (longer) family.texts.calibration = windows;
    } else if (windows != nullptr) {
      family.texts.calibration = windows;
    }
    family.arms.push_back(arm);
  }
  return family;
}

std::vector<QuantizeJob> JobsOf(const Workload& work, const ArmFamily& family,
                                const std::filesystem::path& folder) {
  std::vector<QuantizeJob> jobs;
  for (const Arm* arm : family.arms) {
    const TokenWindows* windows = CalibrationWindows(work, *arm);
    jobs.push_back({.recipe = arm->recipe,
                    .description = arm->description,
                    .windows = windows == nullptr ? 0 : windows->count(),
                    .store = QuantizedStore(folder / arm->id)});
  }
  return jobs;
}

}  // namespace daq
