#include "harness/authors_calibration.h"

#include <array>
#include <string>

#include "base/error.h"
#include "eval/calibration.h"

namespace daq {
namespace {

constexpr std::string_view kGptq = "IST-DASLab/gptq 2d65066, README.md and llama.py's defaults";
constexpr std::string_view kAwq = "mit-han-lab/llm-awq d6e797a, awq/entry.py";
constexpr std::string_view kDaq = "LuoYingSong/DAQ 3d3eea9, README.md: --sample 1";
constexpr std::string_view kAwqDaq = "LuoYingSong/DAQ 3d3eea9, README.md: --sample 2";

constexpr AuthorsCalibration Gptq(std::string_view method) {
  return {method, "gptq-c4", 128, std::nullopt, 2048, 0, kGptq};
}
constexpr AuthorsCalibration Awq(std::string_view method) {
  return {method, "awq-pile-val", std::nullopt, 128, 512, 42, kAwq};
}
constexpr AuthorsCalibration Daq(std::string_view method, Index windows, std::string_view source) {
  return {method, "daq", windows, std::nullopt, 512, 42, source};
}

// A combination takes the calibration of the part that searches most with it.
constexpr std::array<AuthorsCalibration, 10> kRows = {{
    Gptq("gptq"),
    Gptq("gptq-act-order"),
    Awq("awq"),
    Awq("awq-daq-release"),
    Awq("awq+gptq"),
    Daq("daq", 1, kDaq),
    Daq("daq-release", 1, kDaq),
    Daq("gptq+daq", 1, kDaq),
    Daq("awq+daq", 2, kAwqDaq),
    Daq("awq+daq+gptq", 2, kAwqDaq),
}};

}  // namespace

std::span<const AuthorsCalibration> AuthorsCalibrations() { return kRows; }

std::optional<CalibrationRequest> FindAuthorsCalibration(std::string_view method) {
  for (const AuthorsCalibration& row : kRows) {
    if (row.method != method) continue;
    const CalibrationProtocol* protocol = FindCalibrationProtocol(row.protocol);
    DAQ_CHECK(protocol != nullptr, row.protocol);
    return CalibrationRequest{.protocol = std::string(row.protocol),
                              .source = {.file = {},
                                         .dataset = std::string(protocol->dataset),
                                         .dataset_file = std::string(protocol->dataset_file)},
                              .windows = row.windows,
                              .documents = row.documents,
                              .window_tokens = row.window_tokens,
                              .seed = row.seed};
  }
  return std::nullopt;
}

}  // namespace daq
