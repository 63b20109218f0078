// What the command line refuses, and in which words: nothing that is given is passed over.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "tests/harness/program_fixture.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

class CommandLineTest : public ProgramTest {
 protected:
  // The messages of the program with these arguments alone, which must be refused.
  std::string Refusal(std::vector<std::string> arguments, int exit_code = 2) const {
    arguments.insert(arguments.begin(), DAQ_BINARY);
    const ProgramResult run = RunProgram(arguments);
    EXPECT_EQ(run.exit_code, exit_code) << run.output;
    EXPECT_EQ(run.output, "");
    return WithoutFolder(run.errors);
  }
  static std::string WithHint(const std::string& message) {
    return message + "\nRun with --help for more information.\n";
  }
};

TEST_F(CommandLineTest, NamesAreTakenByNameAlone) {
  const std::string formats = "--format: expected one of md, csv, json, latex, html, found ";
  EXPECT_EQ(Refusal({"report", config(), "--format", "pdf"}), WithHint(formats + "\"pdf\""));
  EXPECT_EQ(Refusal({"report", config(), "--format", "4"}), WithHint(formats + "\"4\""));
  EXPECT_EQ(Refusal({"report", config(), "--format", "htm"}),
            WithHint(formats + "\"htm\" (did you mean html?)"));
  EXPECT_EQ(
      Refusal({"run", config(), "--stage", "0"}),
      WithHint("--stage: expected one of all, full_precision, quantize, evaluate, join, found "
               "\"0\""));
}

TEST_F(CommandLineTest, UnknownOptionsAreNamedWithTheNearest) {
  EXPECT_EQ(Refusal({"run", config(), "--treads", "2"}),
            "--treads: no such option of run (did you mean --threads?); daq-bench run --help lists "
            "them\n");
  EXPECT_EQ(Refusal({"plan", config(), "--treads=2"}),
            "--treads: no such option of plan (did you mean --threads?); daq-bench plan --help "
            "lists them\n");
  EXPECT_EQ(Refusal({"run", config(), "-x"}),
            "-x: no such option of run; daq-bench run --help lists them\n");
  EXPECT_EQ(Refusal({config(), "second.yaml"}), "run: unexpected argument \"second.yaml\"\n");
}

TEST_F(CommandLineTest, AnEmptyValueIsNotNoValue) {
  for (const auto& [option, expected] :
       {std::pair<std::string, std::string>{"--results", "a folder"},
        {"--data", "a folder"},
        {"--memory-budget", "a size such as 12GiB"},
        {"--shard", "a part such as 2/4"}}) {
    EXPECT_EQ(Refusal({"run", config(), option, ""}),
              WithHint(option + ": expected " + expected + ", found nothing"));
  }
  EXPECT_EQ(Refusal({"report", config(), "--against", ""}),
            WithHint("--against: expected a row of the table, found nothing"));
}

TEST_F(CommandLineTest, ValuesAreNamedByTheirOption) {
  EXPECT_EQ(Refusal({"run", config(), "--memory-budget", "xyz"}),
            "--memory-budget: expected a size such as 12GiB (a whole number and B, KB, MB, GB, TB, "
            "KiB, MiB, GiB or TiB), found \"xyz\"\n");
  EXPECT_EQ(Refusal({"plan", config(), "--explain", "--memory-budget", "xyz"}),
            Refusal({"run", config(), "--memory-budget", "xyz"}));
  EXPECT_EQ(Refusal({"fetch", "wikitext"}),
            "dataset: expected one of wikitext2, c4, pile-val, found \"wikitext\" (did you mean "
            "wikitext2?)\n");
}

TEST_F(CommandLineTest, FetchNamesEveryDataset) {
  const ProgramResult help = RunProgram({DAQ_BINARY, "fetch", "--help"});
  EXPECT_NE(help.output.find("one of wikitext2, c4, pile-val (configs/datasets.yaml)"),
            std::string::npos)
      << help.output;
}

TEST_F(CommandLineTest, ADataFolderThatIsNotThereIsRefused) {
  EXPECT_EQ(Refusal({"run", config(), "--data", (folder_.path() / "no").string()}),
            "--data: expected a folder that is there, found \"no\"\n");
}

// Another folder that has the text does not stand in for the one that was named.
TEST_F(CommandLineTest, TextsAreOfTheOneDataFolder) {
  fs::copy(fs::path(DAQ_SOURCE_DIR) / "demo/model/tokenizer.model", folder_.path() / "model");
  fs::copy(fs::path(DAQ_SOURCE_DIR) / "demo/model/tokenizer_config.json", folder_.path() / "model");
  WriteFileAtomically(folder_.path() / "data/wikitext2/wiki.test.raw", "Once upon a time.");
  fs::create_directory(folder_.path() / "named");
  WriteConfig("model: model\nevaluate: [gptq-wikitext2]\nrecipes: [fp16]\n");
  const std::string here = "cd '" + folder_.path().string() + "' && ";
  const auto errors = [&](const std::string& setting, const std::string& option) {
    const ProgramResult run =
        RunProgram({"/bin/sh", "-c",
                    here + setting + " '" + DAQ_BINARY + "' run test.yaml --quiet " + option});
    EXPECT_EQ(run.exit_code, 2);
    return run.errors;
  };
  EXPECT_EQ(
      errors("DAQ_BENCH_DATA=data", "--data named"),
      "test.yaml:2: evaluate[0]: wikitext2/wiki.test.raw: not found in the data folder named; "
      "get it by: daq-bench fetch wikitext2 --data named\n");
  EXPECT_EQ(errors("DAQ_BENCH_DATA=named", ""), errors("DAQ_BENCH_DATA=data", "--data named"));
  EXPECT_NE(errors("DAQ_BENCH_DATA=", "").find("data/wikitext2/wiki.test.raw: the text is shorter"),
            std::string::npos);
}

TEST_F(CommandLineTest, AResultsFolderThatCannotBeMadeIsTheMachines) {
  for (const char* command : {"run", "plan", "slurm"}) {
    EXPECT_EQ(Refusal({command, config(), "--results", config() + "/x"}, 3),
              "daq-bench: --results: cannot create test.yaml/x: Not a directory\n");
  }
}

TEST_F(CommandLineTest, APipeIsNoConfigAndNoText) {
  const fs::path pipe = folder_.path() / "pipe.json";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const std::string problem = "this is a pipe, a socket or a device, expected a regular file\n";
  EXPECT_EQ(Refusal({pipe.string()}), "pipe.json: " + problem);
  WriteConfig("model: model\nevaluate:\n  - {protocol: ids, file: pipe.json}\nrecipes: [fp16]\n");
  EXPECT_EQ(Refusal({config(), "--quiet", "--results", (folder_.path() / "results").string()}),
            "test.yaml:3: evaluate[0].file: pipe.json: " + problem);
}

TEST_F(CommandLineTest, OneExperimentIsReportedOnce) {
  ASSERT_EQ(Run({config()}).exit_code, 0);
  EXPECT_EQ(Run({"report", config(), folder_.path() / "./test.yaml"}).errors,
            "CONFIG: expected every experiment once, found " +
                (folder_.path() / "./test.yaml").string() + " again\n");
}

TEST_F(CommandLineTest, AReportSaysThatNothingIsCompared) {
  ASSERT_EQ(Run({config()}).exit_code, 0);
  const std::string remark =
      "--against rtn: nothing is compared, for no finished cell has one of that row, in its own "
      "format, beside it.\n";
  const std::string report = Run({"report", config(), "--against", "rtn"}).output;
  EXPECT_NE(report.find(remark), std::string::npos) << report;
  EXPECT_EQ(Run({"report", config(), "--against", "fp16"}).output.find("nothing is compared"),
            std::string::npos);
}

// The other config's results stand in the same folder.
TEST_F(CommandLineTest, AConfigOfTheSameNameIsNamed) {
  ASSERT_EQ(Run({config()}).exit_code, 0);
  fs::create_directory(folder_.path() / "sub");
  WriteFileAtomically(folder_.path() / "sub/test.yaml",
                      "model: ../model\nevaluate: [{protocol: ids, file: ../windows.json}]\n"
                      "recipes: [fp16]\n");
  ASSERT_EQ(Run({(folder_.path() / "sub/test.yaml").string()}).exit_code, 0);
  const ProgramResult report = Run({"report", config()});
  EXPECT_EQ(report.exit_code, 2);
  EXPECT_EQ(WithoutFolder(report.errors),
            "test.yaml: another config of this name was run last, sub/test.yaml: run daq-bench "
            "test.yaml (finished cells are kept, only new ones are computed)\n");
}

// What a run would refuse, the plan refuses too, and is whole nevertheless.
class PlanTest : public CommandLineTest {
 protected:
  std::string Plan(int exit_code, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"plan", config(), "--threads", "1"});
    const ProgramResult plan = Run(more);
    EXPECT_EQ(plan.exit_code, exit_code) << plan.output << plan.errors;
    return WithoutFolder(plan.output);
  }
  static void ExpectHas(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  static constexpr const char* kProblems =
      "Missing or wrong inputs, without which a run does not start:\n- ";
};

TEST_F(PlanTest, ABudgetThatARunRefusesIsAProblem) {
  const std::string plan = Plan(2, {"--memory-budget", "1MiB"});
  const ProgramResult run = Run({config(), "--threads", "1", "--memory-budget", "1MiB"});
  EXPECT_EQ(run.exit_code, 2);
  ExpectHas(run.errors, "memory_budget: expected at least ");
  ExpectHas(plan, kProblems + run.errors);
  ExpectHas(plan, "left to do  4 of 4 cells");
  ExpectHas(plan, "of a budget of 1.0 MiB");
}

TEST_F(PlanTest, ABudgetAboveTheMachinesMemoryIsAWarning) {
  const std::string warning = "warning: memory_budget: 1024.0 TiB is more than this machine has, ";
  ExpectHas(Plan(0, {"--memory-budget", "1024TiB"}), warning);
  ExpectHas(Run({config(), "--memory-budget", "1024TiB"}).errors, warning);
  EXPECT_EQ(Plan(0).find("warning"), std::string::npos);
}

TEST_F(PlanTest, WhatIsWrongWithInputsGivesTheRunsExitCode) {
  const auto expect_as_run = [&](const std::string& config_text) {
    WriteConfig(config_text);
    const ProgramResult run = Run({config(), "--quiet"});
    EXPECT_EQ(run.exit_code, 2) << run.errors;
    ExpectHas(Plan(2), kProblems + WithoutFolder(run.errors));
  };
  const std::string rest = "evaluate: [{protocol: ids, file: windows.json}]\nrecipes: [fp16, ";
  expect_as_run("model: nowhere\n" + rest + "{method: rtn, format: nf4}]\n");
  expect_as_run("model: model\n" + rest + "{method: rtn, format: {codebook: nf4, group: 10}}]\n");
  expect_as_run("model: model\ncalibration: {protocol: ids, file: windows.json, windows: 7}\n" +
                rest + "{method: rtn, format: nf4}]\n");
  expect_as_run(
      "model: model\nevaluate: [{protocol: ids, file: windows.json, max_windows: 7}]\n"
      "recipes: [fp16]\n");
  fs::resize_file(folder_.path() / "model/model.safetensors", 1000);
  expect_as_run("model: model\n" + rest + "{method: rtn, format: nf4}]\n");
}

TEST_F(PlanTest, SaysWhenTheMachineWasMeasured) {
  const std::string plan = Plan(0);
  ExpectHas(plan, "rates       measured on 20");
  ExpectHas(plan, " with 1 threads; to measure anew delete ");
  ExpectHas(plan, "daq-bench/machine.json\n");
}

}  // namespace
}  // namespace daq
