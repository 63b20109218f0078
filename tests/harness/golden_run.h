#pragma once
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/blas.h"
#include "base/file.h"
#include "eval/protocols.h"
#include "harness/evaluate_stage.h"
#include "harness/quantize_stage.h"
#include "tests/support/temporary_folder.h"

// Whole runs of the quantise and evaluate stages, for tests against other programs' results.
namespace daq {

class GoldenRun : public testing::Test {
 protected:
  GoldenRun() : pool_(2), progress_(0, /*quiet=*/true) {
    SetUpBlas();
    stage_ = {.pool = &pool_,
              .progress = &progress_,
              .work_folder = folder_.path(),
              .save_interval = std::chrono::seconds(3600),
              .memory_budget_bytes = 8ULL << 30U};
  }

  std::vector<double> Losses(const Checkpoint& checkpoint, const TokenWindows& windows) {
    return EvaluateWindows(checkpoint, windows, FullPrecisionBlocks(checkpoint, &pool_), "fp",
                           stage_)
        .losses;
  }

  // Quantises the whole model on the first `count` windows of `calibration` (null: on none). The
  // blocks lie in Store() until the next call.
  void Quantize(const Checkpoint& checkpoint, const Recipe& recipe,
                const TokenWindows* calibration = nullptr, Index count = 0) {
    Store().Remove();
    std::vector<QuantizeJob> jobs = {
        {.recipe = recipe, .description = "test", .windows = count, .store = Store()}};
    QuantizeModel(checkpoint, {.calibration = calibration}, {.end = checkpoint.config().num_layers},
                  &jobs, stage_);
    EXPECT_EQ(jobs[0].error, "");
  }

  // The losses of the model that Quantize made.
  std::vector<double> QuantizedLosses(const Checkpoint& checkpoint, const TokenWindows& windows) {
    const QuantizedStore store = Store();
    const BlockSource blocks = [&](Index block, BlockWeights* weights) {
      DequantizeBlock(store.ReadBlock(block, checkpoint.config()), checkpoint.config(), &pool_,
                      weights);
    };
    return EvaluateWindows(checkpoint, windows, blocks, "quantised", stage_).losses;
  }

  QuantizedStore Store() const { return QuantizedStore(folder_.path() / "blocks"); }

  // Windows of token ids from a file of tests/golden/methods.
  static TokenWindows AuthorsWindows(const std::string& name, const Checkpoint& checkpoint) {
    return MakeEvaluationWindows({.protocol = "ids", .file = AuthorsFile(name), .max_windows = {}},
                                 nullptr, checkpoint.config().vocab_size);
  }

  // The authors' code's results of that name.
  static nlohmann::json AuthorsResult(const std::string& name) {
    for (nlohmann::json& result : nlohmann::json::parse(ReadFile(AuthorsFile("results.json")))) {
      if (result.at("name") == name) return result;
    }
    ADD_FAILURE() << "no result " << name;
    return {};
  }

  static std::filesystem::path AuthorsFile(const std::string& name) {
    return std::filesystem::path(DAQ_SOURCE_DIR) / "tests/golden/methods" / name;
  }

  TemporaryFolder folder_;
  ThreadPool pool_;
  Progress progress_;
  Stage stage_;
};

}  // namespace daq
