#pragma once
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/file.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {

// The program on a tiny checkpoint in a folder of the test's own.
class ProgramTest : public testing::Test {
 protected:
  ProgramTest() {
    WriteTinyCheckpoint(folder_.path() / "model", {});
    WriteWindows(/*count=*/6, /*tokens=*/64);
    WriteConfig(kConfig);
  }

  void WriteWindows(int count, int tokens) const {
    nlohmann::json windows = {{"windows", nlohmann::json::array()}};
    for (int window = 0; window < count; ++window) {
      nlohmann::json ids = nlohmann::json::array();
      for (int i = 0; i < tokens; ++i) ids.push_back((window * 31 + i * i) % 64);
      windows["windows"].push_back(ids);
    }
    WriteFileAtomically(folder_.path() / "windows.json", windows.dump());
  }

  void WriteConfig(const std::string& text) const {
    WriteFileAtomically(folder_.path() / "test.yaml", text);
  }

  ProgramResult Run(std::vector<std::string> arguments, const std::string& results = "results",
                    int kill_after_ms = -1) const {
    arguments.insert(arguments.begin(), DAQ_BINARY);
    arguments.insert(arguments.end(), {"--results", (folder_.path() / results).string()});
    return RunProgram(arguments, kill_after_ms);
  }

  // Kills runs after ever longer times, `step_ms` more each, until one lives to its end, so that
  // every kill falls into another moment of the work; adds their number to `kills`.
  // run(kill_after_ms) is a run. One that ends otherwise fails the test.
  template <typename KilledRun>
  static void KillUntilDone(int step_ms, const KilledRun& run, int* kills) {
    for (int milliseconds = 1;; milliseconds += step_ms) {
      const ProgramResult result = run(milliseconds);
      if (result.exit_code == 0) return;
      ASSERT_EQ(result.exit_code, 128 + SIGKILL) << result.errors;
      ASSERT_LT(milliseconds, 60000);
      ++*kills;
    }
  }

  std::string config() const { return (folder_.path() / "test.yaml").string(); }

  // File name to content of every finished cell.
  std::map<std::string, std::string> Cells(const std::string& results = "results") const {
    std::map<std::string, std::string> cells;
    for (const auto& entry :
         std::filesystem::directory_iterator(folder_.path() / results / "test/cells")) {
      cells[entry.path().filename()] = ReadFile(entry.path());
    }
    return cells;
  }

  // The one metric of every finished cell, by the file's name.
  std::map<std::string, nlohmann::json> Metrics(const std::string& results = "results") const {
    std::map<std::string, nlohmann::json> metrics;
    for (const auto& [name, content] : Cells(results)) {
      if (name.ends_with(".json"))
        metrics[name] = *nlohmann::json::parse(content).at("metrics").begin();
    }
    return metrics;
  }

  // A message with the test's own folder left out.
  std::string WithoutFolder(std::string text) const {
    const std::string prefix = folder_.path().string() + "/";
    for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix))
      text.erase(at, prefix.size());
    return text;
  }

  static constexpr const char* kConfig = R"(model: model
calibration: {protocol: ids, file: windows.json, windows: 2}
evaluate:
  - {protocol: ids, file: windows.json}
recipes:
  - fp16
  - {method: rtn, format: nf4}
  - {method: rtn, format: {codebook: int3, group: 16}}
  - {transform: none, range: mse, rounding: nearest, format: {codebook: int2, group: 16}}
)";

  TemporaryFolder folder_;
};

}  // namespace daq
