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

bool AddQuantizedArm(const Arm& arm, std::vector<const Arm*>* arms) {
  if (arm.recipe.full_precision || std::find(arms->begin(), arms->end(), &arm) != arms->end())
    return false;
  arms->push_back(&arm);
  return true;
}

std::vector<ArmFamily> FamiliesOf(const Workload& work, std::vector<const Arm*> candidates) {
  std::vector<ArmFamily> families;
  while (!candidates.empty()) {
    const ArmFamily& family = families.emplace_back(FamilyOf(work, candidates));
    std::erase_if(candidates, [&](const Arm* arm) {
      return std::find(family.arms.begin(), family.arms.end(), arm) != family.arms.end();
    });
  }
  return families;
}

Work QuantizeWorkOf(const Workload& work, const std::vector<ArmFamily>& families,
                    std::optional<Index> blocks) {
  Work total;
  for (const ArmFamily& family : families) {
    const ModelConfig& config = work.models[family.arms.front()->model]->checkpoint.config();
    const WindowShape held_out = ShapeOf(family.texts.held_out);
    Work block;
    WindowShape shared;  // of the one pass for all that calibrate on full-precision inputs
    for (const Arm* arm : family.arms) {
      const WindowShape calibration = ShapeOf(CalibrationWindows(work, *arm));
      const RecipeParts parts = MakeParts(arm->recipe);
      block += QuantizeWork(config, {&parts, &arm->recipe.format, calibration}, held_out);
      if (arm->recipe.propagation == Propagation::kFullPrecision) {
        if (calibration.windows > shared.windows) shared = calibration;
      } else {
        block += CalibrationWork(config, calibration) + CalibrationWork(config, held_out);
      }
    }
    block += CalibrationWork(config, shared) + CalibrationWork(config, held_out);
    total += static_cast<double>(blocks.value_or(config.num_layers)) * block;
  }
  return total;
}

MemoryEstimate QuantizeMemoryOf(const Workload& work, const ArmFamily& family, int threads) {
  const ModelConfig& config = work.models[family.arms.front()->model]->checkpoint.config();
  std::vector<RecipeParts> parts;
  std::vector<RecipeShape> recipes;
  parts.reserve(family.arms.size());
  const WindowShape calibration = ShapeOf(family.texts.calibration);
  Index module_windows = 0;
  for (const Arm* arm : family.arms) {
    const WindowShape own = ShapeOf(CalibrationWindows(work, *arm));
    parts.push_back(MakeParts(arm->recipe));
    recipes.push_back({&parts.back(), &arm->recipe.format, own});
    if (parts.back().transform->needs_statistics())
      module_windows = std::max(module_windows, own.windows);
  }
  return QuantizeMemory(config,
                        {.calibration = calibration,
                         .held_out = ShapeOf(family.texts.held_out),
                         .module_windows = module_windows,
                         .recipe_bytes = RecipeBytes(config, recipes, threads)},
                        threads);
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
