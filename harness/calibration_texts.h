#pragma once
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "eval/calibration.h"
#include "harness/experiment.h"

namespace daq {

// The calibration texts of an experiment, each read and tokenised once: requests of one model that
// differ in nothing but the number of windows get the first windows of the largest of them.
class CalibrationTexts {
 public:
  // Makes the windows that a request asks for.
  using Make = std::function<CalibrationWindows(const CalibrationRequest&)>;

  explicit CalibrationTexts(const ExperimentFile& experiment);

  // The windows of a request of the experiment, for the model of that name. Throws InputError, with
  // the config's key, as `make` does (for every request that shares the text), and if the text has
  // fewer windows than this request asks for.
  TokenWindows Windows(const std::string& model, const CalibrationRequest& request,
                       const Make& make);

 private:
  struct Text {
    std::string model;
    CalibrationRequest largest;
    std::variant<std::monostate, CalibrationWindows, InputError> made;
  };

  void Add(const std::string& model, const CalibrationRequest& request);
  Text* Find(const std::string& model, const CalibrationRequest& request);

  std::vector<Text> texts_;
};

}  // namespace daq
