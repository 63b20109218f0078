#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "harness/experiment.h"

namespace daq {

// What the authors of a method calibrate it on: the meaning of `calibration: authors`. Every preset
// that reads layer inputs has a row (a test holds the table to that); all others are calibrated on
// nothing.
struct AuthorsCalibration {
  std::string_view method;    // a preset's name
  std::string_view protocol;  // an id of CalibrationProtocols(), whose other defaults hold
  std::optional<Index> windows;
  std::optional<Index> documents;
  Index window_tokens = 0;
  std::int64_t seed = 0;
  std::string_view source;
};

std::span<const AuthorsCalibration> AuthorsCalibrations();

// The request of that method's row, on the protocol's own dataset; empty without a row.
std::optional<CalibrationRequest> FindAuthorsCalibration(std::string_view method);

}  // namespace daq
