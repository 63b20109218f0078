// Shards of one experiment: whatever order they run in and whatever is killed, the table is that of
// a run in one piece.
#include <gtest/gtest.h>

#include <future>

#include "harness/folder_lock.h"
#include "tests/harness/program_fixture.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

class ShardProgramTest : public ProgramTest {
 protected:
  ShardProgramTest() {
    WriteConfig(R"(model: model
calibration: {protocol: ids, file: windows.json, windows: 2}
evaluate:
  - {protocol: ids, name: tokens, file: windows.json, token_metrics: true}
  - {protocol: ids, file: windows.json}
recipes:
  - fp16
  - {method: rtn, format: nf4}
  - {method: gptq, format: int3}
  - {method: daq, format: nf3}
)");
  }

  ProgramResult Shard(const std::string& shard, const std::string& stage = "all",
                      int kill_after_ms = -1) const {
    return Run(
        {config(), "--threads", "1", "--save-seconds", "0", "--stage", stage, "--shard", shard},
        "results", kill_after_ms);
  }

  std::string Table(const std::string& results = "results") const {
    return Run({"report", config()}, results).output;
  }

  // The table of a run in one piece.
  std::string Expected() const { return Run({config()}, "undisturbed").output; }

  // Whether nothing but finished cells is left.
  void ExpectNoLeftovers() const {
    for (const char* folder : {"work", "parts"})
      EXPECT_EQ(FilesIn(folder), std::vector<std::string>()) << folder;
  }

  std::vector<std::string> FilesIn(const std::string& folder) const {
    std::vector<std::string> files;
    const fs::path path = folder_.path() / "results/test" / folder;
    if (!fs::exists(path)) return files;
    for (const auto& entry : fs::recursive_directory_iterator(path))
      files.push_back(fs::relative(entry.path(), path));
    return files;
  }
};

TEST_F(ShardProgramTest, ShardsOfArmsGiveTheSameTable) {
  const std::string expected = Expected();
  for (const char* shard : {"3/3", "1/3", "2/3"}) {
    const ProgramResult run = Shard(shard);
    EXPECT_EQ(run.exit_code, 0) << run.errors;
    EXPECT_EQ(run.output, "") << "the other shards' cells are not there";
  }
  EXPECT_EQ(Table(), expected);
  EXPECT_EQ(Metrics(), Metrics("undisturbed"));
  ExpectNoLeftovers();
}

TEST_F(ShardProgramTest, StagesCutAnywhereGiveTheSameTable) {
  const std::string expected = Expected();
  for (const char* shard : {"2/2", "1/2"}) EXPECT_EQ(Shard(shard, "quantize").exit_code, 0);
  for (const char* shard : {"4/5", "2/5", "1/5", "5/5", "3/5"}) {
    const ProgramResult run = Shard(shard, "evaluate");
    EXPECT_EQ(run.exit_code, 0) << run.errors;
  }
  EXPECT_EQ(Table(), expected);
  EXPECT_EQ(Metrics(), Metrics("undisturbed"));
  ExpectNoLeftovers();
  // Nothing is left for anyone.
  EXPECT_NE(Shard("1/2", "quantize").errors.find("0 cells quantised"), std::string::npos);
  EXPECT_NE(Shard("2/5", "evaluate").errors.find("0 cells computed"), std::string::npos);
}

// Shards that ended at the same moment, each before the others' parts were there.
TEST_F(ShardProgramTest, JoiningWritesWhatShardsLeftAndComputesNothing) {
  const std::string expected = Expected();
  const fs::path results = folder_.path() / "results/test";
  EXPECT_EQ(Shard("1/1", "quantize").exit_code, 0);
  for (const char* shard : {"1/5", "2/5", "4/5", "5/5"})
    EXPECT_EQ(Shard(shard, "evaluate").exit_code, 0);
  const ProgramResult half = Run({config(), "--stage", "join"});
  EXPECT_EQ(half.exit_code, 0) << half.errors;
  EXPECT_NE(half.errors.find("0 cells joined"), std::string::npos) << half.errors;
  EXPECT_NE(half.output.find("to do"), std::string::npos) << half.output;
  fs::copy(results / "parts", folder_.path() / "first", fs::copy_options::recursive);
  fs::remove_all(results / "parts");
  EXPECT_EQ(Shard("3/5", "evaluate").exit_code, 0);
  fs::copy(folder_.path() / "first", results / "parts",
           fs::copy_options::recursive | fs::copy_options::skip_existing);
  const ProgramResult join = Run({config(), "--stage", "join"});
  EXPECT_EQ(join.exit_code, 0) << join.errors;
  EXPECT_EQ(join.output, expected);
  EXPECT_EQ(Metrics(), Metrics("undisturbed"));
  ExpectNoLeftovers();
}

TEST_F(ShardProgramTest, ShardsAtTheSameTimeGiveTheSameTable) {
  const std::string expected = Expected();
  std::vector<std::future<ProgramResult>> runs;
  for (const char* shard : {"1/4", "2/4", "3/4", "4/4", "1/3", "2/3", "3/3"})
    runs.push_back(std::async(std::launch::async, [=, this] { return Shard(shard); }));
  for (std::future<ProgramResult>& run : runs) {
    const ProgramResult result = run.get();
    EXPECT_EQ(result.exit_code, 0) << result.errors;
  }
  EXPECT_EQ(Table(), expected);
  EXPECT_EQ(Metrics(), Metrics("undisturbed"));
}

TEST_F(ShardProgramTest, EvaluationWaitsForQuantisedModels) {
  const ProgramResult early = Shard("2/2", "evaluate");
  EXPECT_EQ(early.exit_code, 1);
  EXPECT_NE(early.errors.find("not evaluated: the models are not quantised yet (--stage quantize)"),
            std::string::npos)
      << early.errors;
  for (const char* stage : {"quantize", "evaluate"}) {
    for (const char* shard : {"1/2", "2/2"}) EXPECT_EQ(Shard(shard, stage).exit_code, 0);
  }
  EXPECT_EQ(Table(), Expected());
}

TEST_F(ShardProgramTest, ADamagedPackedBlockKeepsNoOtherBackAndIsMadeAnew) {
  const std::string expected = Expected();
  const auto run_all = [&](const std::string& stage) {
    std::string errors;
    for (const char* shard : {"1/2", "2/2"}) {
      const ProgramResult run = Shard(shard, stage);
      EXPECT_EQ(run.exit_code, run.errors.find("failed") == std::string::npos ? 0 : 1)
          << run.errors;
      errors += run.errors;
    }
    return errors;
  };
  EXPECT_EQ(run_all("quantize").find("failed"), std::string::npos);
  const fs::path damaged =
      fs::directory_iterator(folder_.path() / "results/test/work")->path() / "block-0000";
  fs::resize_file(damaged, fs::file_size(damaged) / 2);
  EXPECT_NE(run_all("evaluate").find(damaged.string() + ": this quantised block is damaged"),
            std::string::npos);
  const auto metrics = Metrics();
  EXPECT_EQ(std::count_if(metrics.begin(), metrics.end(),
                          [](const auto& cell) { return cell.second.contains("window_losses"); }),
            6);
  // The same shards again.
  for (const char* stage : {"quantize", "evaluate"})
    EXPECT_EQ(run_all(stage).find("failed"), std::string::npos);
  EXPECT_EQ(Table(), expected);
  EXPECT_EQ(Metrics(), Metrics("undisturbed"));
  ExpectNoLeftovers();
}

TEST_F(ShardProgramTest, KilledShardsGoOnAndARunOfEverythingTakesTheirParts) {
  const std::string expected = Expected();
  int kills = 0;
  for (const char* stage : {"quantize", "evaluate"}) {
    for (const char* shard : {"1/3", "2/3", "3/3"}) {
      if (std::string(stage) == "evaluate" && std::string(shard) == "2/3") continue;
      KillUntilDone(
          4, [&](int milliseconds) { return Shard(shard, stage, milliseconds); }, &kills);
    }
  }
  EXPECT_GE(kills, 10);
  // What no shard did, in one piece.
  const ProgramResult rest = Run({config()});
  EXPECT_EQ(rest.exit_code, 0) << rest.errors;
  EXPECT_EQ(rest.output, expected);
  EXPECT_EQ(Metrics(), Metrics("undisturbed"));
  ExpectNoLeftovers();
}

// As shards leave them that are killed when a cell is written and its states are not yet removed,
// or when full precision's are kept and their own copy is not yet removed.
TEST_F(ShardProgramTest, ARunOfEverythingRemovesStatesThatNoCellNeeds) {
  const fs::path work = folder_.path() / "results/test/work";
  ASSERT_EQ(Run({config()}).exit_code, 0);
  for (const auto& [cell, content] : Cells()) {
    for (const char* name : {".states", ".0-3.states", ".reference", ".1-2.reference"})
      WriteFileAtomically(work / (fs::path(cell).stem().string() + name), "states");
  }
  WriteFileAtomically(work / "0123456789ab.states", "of a cell of another config");
  ASSERT_EQ(Run({config()}).exit_code, 0);
  EXPECT_EQ(FilesIn("work"), std::vector<std::string>{"0123456789ab.states"});
}

TEST_F(ShardProgramTest, AWholeRunAndShardsKeepEachOtherAway) {
  const fs::path folder = folder_.path() / "results/test";
  {
    const FolderLock whole(folder, FolderLock::Kind::kAlone);
    const ProgramResult refused = Shard("1/2");
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_EQ(WithoutFolder(refused.errors),
              "results/test: a daq-bench without --shard is running this experiment here: wait for "
              "it, or choose another --results folder\n");
  }
  const FolderLock shard(folder, FolderLock::Kind::kShared);
  EXPECT_EQ(Shard("1/2").exit_code, 0);
  const ProgramResult refused = Run({config()});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.errors.find("another daq-bench is running this experiment here"),
            std::string::npos)
      << refused.errors;
}

TEST_F(ShardProgramTest, WrongShardsAreRefused) {
  const ProgramResult run = Shard("3/2");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_EQ(run.errors, "--shard: expected I/N with 1 <= I <= N, such as 2/4, found \"3/2\"\n");
  EXPECT_EQ(Shard("1/2", "report").exit_code, 2);
}

}  // namespace
}  // namespace daq
