// The program as a user meets it: tables, exit codes, messages, killed and continued runs.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>

#include "tests/harness/program_fixture.h"

namespace daq {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

TEST_F(ProgramTest, RunPrintsATableAndReportPrintsTheSame) {
  const ProgramResult run = Run({config()});
  ASSERT_EQ(run.exit_code, 0) << run.errors;
  EXPECT_NE(run.output.find("| rtn "), std::string::npos) << run.output;
  EXPECT_NE(run.output.find("int3"), std::string::npos);
  EXPECT_EQ(Run({"report", config()}).output, run.output);
  EXPECT_EQ(Run({config(), "--threads", "3"}, "other").output, run.output);
}

TEST_F(ProgramTest, JsonReportHasTheDocumentedFields) {
  ASSERT_EQ(Run({"run", config()}).exit_code, 0);
  const Json report = Json::parse(Run({"report", config(), "--format", "json"}).output);
  ASSERT_EQ(report.size(), 4U);
  for (const Json& object : report) {
    for (const char* name : {"schema", "model", "model_sha256", "method", "transform", "range",
                             "rounding", "format", "granularity", "bits_per_weight", "calibration",
                             "metrics", "seconds", "peak_rss_bytes", "host", "version"}) {
      EXPECT_TRUE(object.contains(name)) << name;
    }
    const Json& metric = object.at("metrics").at("ids");
    EXPECT_EQ(metric.at("tokens"), 6 * 63);
    EXPECT_EQ(metric.at("window_losses").size(), 6U);
    EXPECT_EQ(metric.at("loss_vs_fp").is_null(), object.at("method") == "fp16");
  }
  EXPECT_EQ(report[0].at("bits_per_weight"), 16);
  EXPECT_EQ(report[3].at("method"), "custom");
  // Output errors are there because the config has calibration windows.
  EXPECT_GT(report[2].at("layers")[0].at("output_mse"), 0.0);
}

TEST_F(ProgramTest, HeldOutErrorsAreReported) {
  WriteConfig(std::string(kConfig) + "held_out: {protocol: ids, file: windows.json, windows: 3}\n");
  const ProgramResult run = Run({config()});
  ASSERT_EQ(run.exit_code, 0) << run.errors;
  EXPECT_NE(run.output.find("| held-out error |"), std::string::npos) << run.output;
  EXPECT_NE(run.output.find("on ids 3x64 (windows.json)"), std::string::npos) << run.output;
  const Json report = Json::parse(Run({"report", config(), "--format", "json"}).output);
  EXPECT_TRUE(report[0].at("held_out").is_null());
  EXPECT_EQ(report[1].at("held_out").at("windows"), 3);
  EXPECT_DOUBLE_EQ(report[1].at("layers")[0].at("held_out_error_vs_rtn"), 1);
  // Asked for later, they are computed; full precision has no layer reports.
  WriteConfig(std::string(kConfig) + "held_out: {protocol: ids, file: windows.json, windows: 4}\n");
  EXPECT_NE(Run({config()}).errors.find("3 cells computed, 1 already there"), std::string::npos);
}

constexpr const char* kTokenMetricsConfig = R"(model: model
evaluate:
  - {protocol: ids, file: windows.json, token_metrics: true}
recipes:
  - fp16
  - {method: rtn, format: nf4}
  - {method: rtn, format: {codebook: int2, group: 16}}
)";

TEST_F(ProgramTest, TokenMetricsCompareWithFullPrecision) {
  ASSERT_EQ(Run({config()}, "plain").exit_code, 0);
  const Json plain = Json::parse(Run({"report", config(), "--format", "json"}, "plain").output);
  WriteConfig(kTokenMetricsConfig);
  const ProgramResult run = Run({config()});
  ASSERT_EQ(run.exit_code, 0) << run.errors;
  EXPECT_NE(run.output.find("|     KL |  top-1 |"), std::string::npos) << run.output;
  const Json report = Json::parse(Run({"report", config(), "--format", "json"}).output);
  const auto metric = [&](std::size_t row) { return report.at(row).at("metrics").at("ids"); };
  for (std::size_t row = 0; row < 3; ++row) {
    const std::string losses = ReadFile(folder_.path() / "results/test/cells" /
                                        metric(row).at("token_losses").get<std::string>());
    ASSERT_EQ(losses.size(), 6U * 63U * sizeof(float));
    const auto* first = reinterpret_cast<const float*>(losses.data());
    double sum = 0;
    for (int i = 0; i < 63; ++i) sum += static_cast<double>(first[i]);
    EXPECT_NEAR(metric(row).at("window_losses")[0], sum / 63, 1e-6);
  }
  EXPECT_TRUE(metric(0).at("kl_mean").is_null());
  for (const std::size_t row : {1U, 2U}) {
    const Json found = metric(row);
    EXPECT_GT(found.at("kl_p50"), 0.0);
    EXPECT_LT(found.at("kl_p50"), found.at("kl_p90"));
    EXPECT_LT(found.at("kl_p90"), found.at("kl_p99"));
    EXPECT_LT(found.at("kl_mean"), found.at("kl_p99"));
    EXPECT_GT(found.at("top1_agreement"), 0.0);
    EXPECT_LT(found.at("top1_agreement"), 1.0);
  }
  EXPECT_LT(metric(1).at("kl_mean"), metric(2).at("kl_mean")) << "four bits and two";
  EXPECT_GT(metric(1).at("top1_agreement"), metric(2).at("top1_agreement"));
  // The other numbers are what they are without.
  EXPECT_EQ(metric(1).at("window_losses"), plain.at(1).at("metrics").at("ids").at("window_losses"));
  EXPECT_FALSE(plain.at(1).at("metrics").at("ids").contains("kl_mean"));
  EXPECT_TRUE(fs::is_empty(folder_.path() / "results/test/work"));
}

// Full precision's cell may be there while its states are gone, or not be asked for at all.
TEST_F(ProgramTest, TokenMetricsRunFullPrecisionAgainWhereItsStatesAreGone) {
  WriteConfig(kTokenMetricsConfig);
  ASSERT_EQ(Run({config()}).exit_code, 0);
  const auto expected = Metrics();
  ASSERT_EQ(expected.size(), 3U);
  for (const auto& [name, metric] : expected) {
    if (!metric.at("kl_mean").is_null()) fs::remove(folder_.path() / "results/test/cells" / name);
  }
  const ProgramResult rerun = Run({config(), "--threads", "1"});
  EXPECT_NE(rerun.errors.find("2 cells computed, 1 already there"), std::string::npos)
      << rerun.errors;
  EXPECT_EQ(Metrics(), expected);
  WriteConfig(R"(model: model
evaluate: [{protocol: ids, file: windows.json, token_metrics: true}]
recipes: [{method: rtn, format: nf4}]
)");
  ASSERT_EQ(Run({config()}, "alone").exit_code, 0);
  for (const auto& [name, metric] : Metrics("alone"))
    EXPECT_EQ(metric.at("kl_mean"), expected.at(name).at("kl_mean"));
}

TEST_F(ProgramTest, KilledRunsWithTokenMetricsGiveTheSameNumbers) {
  WriteConfig(kTokenMetricsConfig);
  ASSERT_EQ(Run({config(), "--threads", "2"}, "undisturbed").exit_code, 0);
  int kills = 0;
  KillUntilDone(
      3,
      [&](int milliseconds) {
        return Run({config(), "--save-seconds", "0", "--threads", "1"}, "results", milliseconds);
      },
      &kills);
  EXPECT_GE(kills, 3);
  EXPECT_EQ(Metrics(), Metrics("undisturbed"));
}

TEST_F(ProgramTest, ARerunComputesOnlyWhatIsMissing) {
  ASSERT_EQ(Run({config()}).exit_code, 0);
  const auto before = Cells();
  WriteConfig(std::string(kConfig) + "  - {method: rtn, format: int4}\n");
  const ProgramResult rerun = Run({config()});
  ASSERT_EQ(rerun.exit_code, 0) << rerun.errors;
  EXPECT_NE(rerun.errors.find("1 cell computed, 4 already there"), std::string::npos)
      << rerun.errors;
  const auto after = Cells();
  EXPECT_EQ(after.size(), 5U);
  for (const auto& [name, content] : before)
    EXPECT_EQ(after.at(name), content);  // untouched, seconds and all
}

// Kills runs after ever longer times until one lives to its end: every kill falls into another
// moment of the work. What was finished stays, byte for byte, and the table is that of a run nobody
// disturbed.
TEST_F(ProgramTest, KilledRunsContinueAndGiveTheSameTable) {
  const std::string expected = Run({config(), "--threads", "1"}, "undisturbed").output;
  std::map<std::string, std::string> finished;
  ProgramResult run;
  int kills = 0;
  KillUntilDone(
      2,
      [&](int milliseconds) {
        run = Run({config(), "--save-seconds", "0", "--threads", "1"}, "results", milliseconds);
        if (!fs::exists(folder_.path() / "results/test/cells")) return run;
        for (const auto& [name, content] : Cells()) {
          if (name.ends_with(".tmp")) continue;
          const auto [known, inserted] = finished.emplace(name, content);
          EXPECT_EQ(known->second, content) << "a finished cell was computed again";
        }
        return run;
      },
      &kills);
  EXPECT_GE(kills, 3);
  EXPECT_EQ(run.output, expected);
}

// Interrupts runs at ever later moments, as Ctrl-C does. Early ones end at once, before the program
// listens; some must have been caught.
TEST_F(ProgramTest, InterruptedRunsSaySoAndContinue) {
  const std::string expected = Run({config()}, "undisturbed").output;
  int caught = 0;
  for (int milliseconds = 1; milliseconds < 60000; milliseconds += 3) {
    const ProgramResult run = RunProgram({DAQ_BINARY, config(), "--results",
                                          (folder_.path() / "results").string(), "--threads", "1"},
                                         milliseconds, SIGINT);
    if (run.exit_code == 0) {
      EXPECT_EQ(run.output, expected);
      break;
    }
    if (run.exit_code == 128 + SIGINT && run.errors.empty()) continue;
    ASSERT_EQ(run.exit_code, 130) << run.errors;
    EXPECT_EQ(run.output, "");
    EXPECT_NE(run.errors.find("stopped; the same command goes on"), std::string::npos);
    ++caught;
  }
  EXPECT_GE(caught, 1);
}

// The least budget, which is a whole number of MiB, holds a block but not the hidden states of more
// than a MiB: these go to a scratch file.
TEST_F(ProgramTest, NeitherThreadsNorMemoryBudgetChangeABit) {
  WriteWindows(/*count=*/90, /*tokens=*/128);  // 90 * 128 * 32 floats are 1.4 MiB
  const auto losses = [&](const std::vector<std::string>& options, const std::string& results) {
    std::vector<std::string> arguments = {config()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const ProgramResult run = Run(arguments, results);
    EXPECT_EQ(run.exit_code, 0) << run.errors;
    std::map<std::string, Json> losses_of;
    for (const auto& [name, content] : Cells(results))
      losses_of[name] = Json::parse(content).at("metrics").at("ids").at("window_losses");
    return losses_of;
  };
  const auto expected = losses({"--threads", "1"}, "one");
  EXPECT_EQ(expected.size(), 4U);
  EXPECT_EQ(losses({"--threads", "2"}, "two"), expected);
  EXPECT_EQ(losses({"--threads", "3"}, "three"), expected);
  const ProgramResult refused = Run({config(), "--memory-budget", "1MiB"}, "refused");
  const std::string marker = "expected at least ";
  const std::size_t at = refused.errors.find(marker);
  ASSERT_NE(at, std::string::npos) << refused.errors;
  const std::string least = refused.errors.substr(at + marker.size());
  EXPECT_EQ(losses({"--memory-budget", least.substr(0, least.find(' '))}, "scratch"), expected);
}

TEST_F(ProgramTest, NeitherThreadsNorMemoryBudgetChangeATokenMetric) {
  WriteWindows(/*count=*/90, /*tokens=*/128);
  WriteConfig(kTokenMetricsConfig);
  ASSERT_EQ(Run({config(), "--threads", "1"}, "one").exit_code, 0);
  const auto files = [&](const std::string& results) {
    std::map<std::string, std::string> kept;
    for (const auto& [name, content] : Cells(results)) {
      if (name.ends_with(".f32")) kept[name] = content;
    }
    return kept;
  };
  EXPECT_EQ(files("one").size(), 3U);
  const ProgramResult refused = Run({config(), "--memory-budget", "1MiB"}, "refused");
  const std::string marker = "expected at least ";
  const std::size_t at = refused.errors.find(marker);
  ASSERT_NE(at, std::string::npos) << refused.errors;
  const std::string least = refused.errors.substr(at + marker.size());
  ASSERT_EQ(Run({config(), "--threads", "3"}, "three").exit_code, 0);
  ASSERT_EQ(
      Run({config(), "--memory-budget", least.substr(0, least.find(' '))}, "scratch").exit_code, 0);
  for (const std::string results : {"three", "scratch"}) {
    EXPECT_EQ(Metrics(results), Metrics("one")) << results;
    EXPECT_EQ(files(results), files("one")) << results;
  }
}

TEST_F(ProgramTest, WhatIsAskedForTwiceStandsInBothPlaces) {
  fs::copy(folder_.path() / "model", folder_.path() / "copy", fs::copy_options::recursive);
  WriteConfig(R"(model: model
evaluate: [{protocol: ids, file: windows.json}, {protocol: ids, name: again, file: windows.json}]
recipes: [fp16, {method: rtn, format: nf4}]
sweep: {model: [model, copy]}
)");
  const ProgramResult run = Run({config()});
  ASSERT_EQ(run.exit_code, 0) << run.errors;
  EXPECT_EQ(Cells().size(), 2U);
  const Json report = Json::parse(Run({"report", config(), "--format", "json"}).output);
  ASSERT_EQ(report.size(), 4U);
  for (const Json& object : report) {
    EXPECT_EQ(object.at("metrics").at("ids"), object.at("metrics").at("again"));
  }
  EXPECT_EQ(report[1].at("model"), "model");
  EXPECT_EQ(report[3].at("model"), "copy");
  EXPECT_EQ(report[3].at("metrics"), report[1].at("metrics"));
}

TEST_F(ProgramTest, ChecksInputsBeforeWorkAndNamesThem) {
  WriteConfig("model: nowhere\nevaluate: [{protocol: ids, file: windows.json}]\nrecipes: [fp16]\n");
  EXPECT_EQ(Run({config()}).exit_code, 2);

  WriteConfig("model: model\nevaluate: [{protocol: ids, file: missing.json}]\nrecipes: [fp16]\n");
  const ProgramResult missing = Run({config()});
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_NE(missing.errors.find("missing.json"), std::string::npos) << missing.errors;

  WriteConfig("model: model\nevaluate: [gptq-wikitext2]\nrecipes: [fp16]\n");
  fs::create_directory(folder_.path() / "no-data");
  const ProgramResult fetch = Run({config(), "--data", (folder_.path() / "no-data").string()});
  EXPECT_EQ(fetch.exit_code, 2);
  EXPECT_NE(fetch.errors.find("daq-bench fetch wikitext2"), std::string::npos) << fetch.errors;

  WriteConfig(
      "model: model\nevaluate: [{protocol: ids, file: windows.json}]\nrecipes:\n  - {method: rtn, "
      "format: {codebook: int4, group: 10}}\n");
  const ProgramResult group = Run({config()});
  EXPECT_EQ(group.exit_code, 2);
  EXPECT_EQ(WithoutFolder(group.errors),
            "test.yaml:4: recipes[0].format.group: expected a divisor of 32, the in_features of "
            "self_attn.q_proj, found 10\n");
}

TEST_F(ProgramTest, InspectShowsALayerAndDrawsItsCodes) {
  WriteConfig(R"(model: model
calibration: {protocol: ids, file: windows.json, windows: 2}
evaluate:
  - {protocol: ids, file: windows.json}
recipes:
  - fp16
  - {method: rtn, format: nf3}
  - {method: awq, format: nf3}
  - {method: daq, format: nf3}
)");
  const ProgramResult layer = Run({"inspect", config(), "--layer", "1.mlp.up_proj", "--row", "3"});
  ASSERT_EQ(layer.exit_code, 0) << layer.errors;
  EXPECT_TRUE(layer.output.starts_with("# model.layers.1.mlp.up_proj, 48 x 32\n")) << layer.output;
  EXPECT_NE(layer.output.find("| daq nf3-asym channel ids 2x64"), std::string::npos)
      << layer.output;
  EXPECT_NE(layer.output.find("not drawn: awq nf3 channel"), std::string::npos);
  const std::string plot = ReadFile(folder_.path() / "results/test/model.layers.1.mlp.up_proj.svg");
  EXPECT_NE(plot.find("model.layers.1.mlp.up_proj, output channel 3"), std::string::npos);
  EXPECT_NE(plot.find("daq nf3-asym channel"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_.path() / "results/test/inspect/blocks"));  // the quantised blocks

  // Without a layer: what the finished cells hold.
  const ProgramResult early = Run({"inspect", config()});
  EXPECT_EQ(early.exit_code, 2);
  EXPECT_NE(early.errors.find("no results yet: run daq-bench"), std::string::npos) << early.errors;
  ASSERT_EQ(Run({config()}).exit_code, 0);
  const ProgramResult all = Run({"inspect", config()});
  ASSERT_EQ(all.exit_code, 0) << all.errors;
  EXPECT_NE(all.output.find("| self_attn.o_proj"), std::string::npos) << all.output;

  const ProgramResult unknown = Run({"inspect", config(), "--layer", "1.mlp.upproj"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_EQ(unknown.errors,
            "--layer: expected a linear layer of the model's 2 blocks, such as "
            "model.layers.0.self_attn.q_proj, found \"1.mlp.upproj\" (did you mean "
            "model.layers.1.mlp.up_proj?)\n");
  const ProgramResult row = Run({"inspect", config(), "--layer", "1.mlp.up_proj", "--row", "48"});
  EXPECT_EQ(row.exit_code, 2);
  EXPECT_EQ(row.errors,
            "--row: expected an output channel of model.layers.1.mlp.up_proj, 0 to 47, found "
            "48\n");
}

TEST_F(ProgramTest, UsageErrorsGiveExitCodeTwo) {
  EXPECT_EQ(RunProgram({DAQ_BINARY, "run"}).exit_code, 2);
  EXPECT_EQ(RunProgram({DAQ_BINARY, "run", "x.yaml", "--threads", "0"}).exit_code, 2);
  EXPECT_EQ(RunProgram({DAQ_BINARY, "missing.yaml"}).exit_code, 2);
  EXPECT_EQ(RunProgram({DAQ_BINARY, "fetch", "unknown"}).exit_code, 2);
  EXPECT_EQ(RunProgram({DAQ_BINARY, "--help"}).exit_code, 0);
  EXPECT_EQ(RunProgram({DAQ_BINARY, "--version"}).exit_code, 0);
}

TEST_F(ProgramTest, ABudgetThatIsTooSmallIsRefused) {
  const ProgramResult run = Run({config(), "--memory-budget", "1MiB"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.errors.find("memory_budget: expected at least"), std::string::npos) << run.errors;
  EXPECT_NE(run.errors.find("found 1.0 MiB"), std::string::npos) << run.errors;
}

TEST_F(ProgramTest, PlanListsCellsAndComputesNothing) {
  const ProgramResult plan = Run({"plan", config()});
  EXPECT_EQ(plan.exit_code, 0) << plan.errors;
  EXPECT_NE(plan.output.find(" B of memory traffic\n"), std::string::npos) << plan.output;
  EXPECT_NE(plan.output.find("left to do  4 of 4 cells"), std::string::npos) << plan.output;
  EXPECT_FALSE(fs::exists(folder_.path() / "results/test/cells"));
  EXPECT_NE(Run({"plan", config(), "--explain"}).output.find("max_shrink"), std::string::npos);
}

TEST_F(ProgramTest, PlanNamesEveryMissingInputAtOnce) {
  WriteConfig("model: owner/name\nevaluate: [gptq-wikitext2, gptq-c4]\nrecipes: [fp16]\n");
  fs::create_directory(folder_.path() / "no-data");
  const ProgramResult plan =
      Run({"plan", config(), "--data", (folder_.path() / "no-data").string()});
  EXPECT_EQ(plan.exit_code, 2);
  for (const char* wanted : {"inputs are there for 0 of 2 cells", "hf download owner/name",
                             "daq-bench fetch wikitext2", "daq-bench fetch c4"}) {
    EXPECT_NE(plan.output.find(wanted), std::string::npos) << wanted << "\n" << plan.output;
  }
  EXPECT_EQ(plan.output.find("left to do"), std::string::npos) << "nothing is known of the work";
}

TEST_F(ProgramTest, MistypedCommandsAreNamed) {
  const ProgramResult typo = RunProgram({DAQ_BINARY, "plna", config()});
  EXPECT_EQ(typo.exit_code, 2);
  EXPECT_EQ(typo.errors,
            "daq-bench: \"plna\" is neither a file nor a command: run, plan, report, inspect, "
            "slurm, fetch (did you "
            "mean plan?)\n");
  const ProgramResult nothing = RunProgram({DAQ_BINARY});
  EXPECT_EQ(nothing.exit_code, 2);
  EXPECT_NE(nothing.errors.find("expected an experiment file or a command"), std::string::npos);
}

TEST_F(ProgramTest, NaNWeightsFailWithTheTensorsName) {
  TinyCheckpointSpec spec;
  spec.dtype = "F32";
  std::vector<TinyTensor> tensors = MakeTinyTensors(spec);
  for (TinyTensor& tensor : tensors) {
    if (tensor.name == "model.layers.1.mlp.up_proj.weight")
      tensor.values[5] = std::numeric_limits<float>::quiet_NaN();
  }
  fs::remove_all(folder_.path() / "model");
  fs::create_directories(folder_.path() / "model");
  WriteFileAtomically(folder_.path() / "model/config.json", TinyConfigJson(spec));
  WriteSafetensors(folder_.path() / "model/model.safetensors", tensors, spec.dtype);
  const ProgramResult run = Run({config(), "--quiet"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.errors.find("model.layers.1.mlp.up_proj.weight[0, 5]"), std::string::npos)
      << run.errors;
  // One line for all that failed for the same reason, and no number where none is known.
  EXPECT_NE(run.output.find("failed: fp16 on ids, rtn nf4 channel on ids, "), std::string::npos)
      << run.output;
  EXPECT_NE(run.output.find("| rtn              | nf4    | channel     |             | failed |"),
            std::string::npos)
      << run.output;
}

#ifdef DAQ_WRONG_BLAS
// Older OpenBLAS builds compute wrong numbers on newer processors: no table, then.
TEST_F(ProgramTest, AWrongBlasIsRefused) {
  const ProgramResult run =
      RunProgram({"/usr/bin/env", "LD_PRELOAD=" DAQ_WRONG_BLAS, DAQ_BINARY, config(), "--results",
                  (folder_.path() / "results").string()});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_EQ(run.output, "");
  EXPECT_NE(run.errors.find("computes wrong products on this processor"), std::string::npos)
      << run.errors;
}
#endif

TEST_F(ProgramTest, ReportsOfSeveralExperimentsAreOneFile) {
  ASSERT_EQ(Run({config()}).exit_code, 0);
  const std::string other = (folder_.path() / "other.yaml").string();
  fs::copy(config(), other);
  ASSERT_EQ(Run({other}).exit_code, 0);
  const auto report = [&](const std::string& format) {
    return Run({"report", config(), other, "--format", format}).output;
  };
  EXPECT_EQ(Json::parse(report("json")).size(), 8U);
  const std::string csv = report("csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 8);
  EXPECT_EQ(csv.find("model,model_sha256,", 1), std::string::npos) << "one header";
}

TEST_F(ProgramTest, WhatAKilledRunWasWritingIsRemoved) {
  WriteFileAtomically(folder_.path() / "results/test/cells/a.json.17.tmp", "{");
  ASSERT_EQ(Run({config()}).exit_code, 0);
  EXPECT_FALSE(fs::exists(folder_.path() / "results/test/cells/a.json.17.tmp"));
}

// A 7B-shaped model streams: peak memory is that of one block, whatever their number.
class SlowProgramTest : public ProgramTest {
 protected:
  std::uint64_t PeakBytes(int layers) const {
    const fs::path model = folder_.path() / ("random-" + std::to_string(layers));
    const ProgramResult made = RunProgram(
        {"/usr/bin/env", "python3",
         std::string(DAQ_SOURCE_DIR) + "/tests/tools/make_random_checkpoint.py", model.string(),
         "--layers", std::to_string(layers), "--windows", "1", "--window-tokens", "2048"});
    EXPECT_EQ(made.exit_code, 0) << made.errors;
    WriteConfig("model: random-" + std::to_string(layers) +
                "\nevaluate: [{protocol: ids, file: random-" + std::to_string(layers) +
                "/windows.json}]\nrecipes: [fp16]\n");
    const ProgramResult run = Run({config()}, "results-" + std::to_string(layers));
    EXPECT_EQ(run.exit_code, 0) << run.errors;
    const Json report = Json::parse(
        Run({"report", config(), "--format", "json"}, "results-" + std::to_string(layers)).output);
    fs::remove_all(model);
    return report.at(0).at("peak_rss_bytes");
  }
};

TEST_F(SlowProgramTest, PeakMemoryOfA7BShapeDoesNotGrowWithItsBlocks) {
  const auto two = static_cast<double>(PeakBytes(2));
  const auto four = static_cast<double>(PeakBytes(4));
  EXPECT_NEAR(four / two, 1, 0.05);
  EXPECT_LT(four, 4.0 * (1ULL << 30U));
}

}  // namespace
}  // namespace daq
