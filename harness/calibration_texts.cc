#include "harness/calibration_texts.h"

#include <fmt/format.h>

#include <algorithm>

namespace daq {
namespace {

bool DifferInWindowsAtMost(CalibrationRequest a, const CalibrationRequest& b) {
  a.windows = b.windows;
  return a == b;
}

}  // namespace

CalibrationTexts::CalibrationTexts(const ExperimentFile& experiment) {
  for (const Experiment& point : experiment.points) {
    for (const RecipeRequest& recipe : point.recipes) {
      if (recipe.calibration) Add(point.model, *recipe.calibration);
    }
    if (point.held_out) Add(point.model, *point.held_out);
  }
}

void CalibrationTexts::Add(const std::string& model, const CalibrationRequest& request) {
  Text* text = Find(model, request);
  if (text == nullptr) {
    texts_.push_back({.model = model, .largest = request, .made = {}});
  } else {
    text->largest.windows = std::max(text->largest.windows, request.windows);
  }
}

TokenWindows CalibrationTexts::Windows(const std::string& model, const CalibrationRequest& request,
                                       const Make& make) {
  Text* text = Find(model, request);
  DAQ_CHECK(text != nullptr, "a request of the experiment");
  if (std::holds_alternative<std::monostate>(text->made)) {
    try {
      text->made = make(text->largest);
    } catch (const InputError& error) {
      text->made = error;
    }
  }
  if (const auto* error = std::get_if<InputError>(&text->made))
    throw request.source.place.Before(*error);
  const CalibrationWindows& windows = std::get<CalibrationWindows>(text->made);
  const Index wanted = request.windows.value_or(windows.count());
  if (windows.count() < wanted) {
    throw InputError(
        request.windows_place.where, request.windows_place.path,
        fmt::format("at most {} windows of {} tokens, all that {} has", windows.count(),
                    windows.all().window_tokens, windows.all().source),
        std::to_string(wanted));
  }
  return windows.First(wanted);
}

CalibrationTexts::Text* CalibrationTexts::Find(const std::string& model,
                                               const CalibrationRequest& request) {
  const auto found = std::find_if(texts_.begin(), texts_.end(), [&](const Text& text) {
    return text.model == model && DifferInWindowsAtMost(text.largest, request);
  });
  return found == texts_.end() ? nullptr : &*found;
}

}  // namespace daq
