// What goes wrong around the program: kills, full and read-only disks, files damaged or exchanged
// between runs. Each ends with a clear error or the same table, and no cell lost or wrong
// (docs/reliability.md).
#include <gtest/gtest.h>

#include <random>

#include "tests/harness/program_fixture.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

class FaultsTest : public ProgramTest {
 protected:
  fs::path Results() const { return folder_.path() / "results"; }

  std::string Expected() const { return Run({config()}, "undisturbed").output; }

  static void CutInHalf(const fs::path& file) { fs::resize_file(file, fs::file_size(file) / 2); }

  // The only file below a folder whose name starts so.
  static fs::path FileIn(const fs::path& folder, const std::string& start) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file() && entry.path().filename().string().starts_with(start))
        return entry.path();
    }
    return {};
  }
};

// A small file system of its own for the results, where the test may mount one.
class SmallDisk {
 public:
  SmallDisk(const fs::path& folder, const std::string& options) : folder_(folder) {
    fs::create_directories(folder);
    mounted_ = RunProgram({"/usr/bin/env", "mount", "-t", "tmpfs", "-o", options, "tmpfs",
                           folder.string()})
                   .exit_code == 0;
  }
  ~SmallDisk() {
    if (mounted_) RunProgram({"/usr/bin/env", "umount", "-l", folder_.string()});
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  void Remount(const std::string& options) const {
    EXPECT_EQ(RunProgram({"/usr/bin/env", "mount", "-o", "remount," + options, folder_.string()})
                  .exit_code,
              0);
  }

 private:
  fs::path folder_;
  bool mounted_ = false;
};

TEST_F(FaultsTest, FiftyKillsAtRandomMoments) {
  const std::string expected = Expected();
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same moments in every run, about
  std::uniform_int_distribution<int> milliseconds(0, 120);
  int finished = 0;
  for (int kills = 0; kills < 50;) {
    const ProgramResult run =
        Run({config(), "--save-seconds", "0", "--threads", "1"}, "results", milliseconds(random));
    if (run.exit_code == 128 + SIGKILL) {
      ++kills;
      continue;
    }
    ASSERT_EQ(run.exit_code, 0) << run.errors;
    ASSERT_EQ(run.output, expected);
    fs::remove_all(Results());
    ++finished;
  }
  EXPECT_EQ(Run({config()}).output, expected);
  RecordProperty("finished", finished);
}

TEST_F(FaultsTest, AFullDiskIsNamedAndSpaceIsAllThatIsMissing) {
  const std::string expected = Expected();
  int refusals = 0;
  for (const char* size : {"4k", "24k", "48k", "72k", "96k"}) {
    const SmallDisk disk(Results(), std::string("size=") + size);
    if (!disk.mounted()) GTEST_SKIP() << "may not mount a file system here";
    const ProgramResult run = Run({config(), "--save-seconds", "0"});
    if (run.exit_code != 0) {
      ++refusals;
      EXPECT_EQ(run.exit_code, 3) << run.errors;
      EXPECT_NE(run.errors.find("No space left on device"), std::string::npos) << run.errors;
    }
    disk.Remount("size=64m");
    const ProgramResult rerun = Run({config()});
    EXPECT_EQ(rerun.exit_code, 0) << rerun.errors;
    EXPECT_EQ(rerun.output, expected) << size;
  }
  EXPECT_GE(refusals, 3);
}

TEST_F(FaultsTest, AReadOnlyFolderIsNamedAndCanStillBeReported) {
  const SmallDisk disk(Results(), "size=64m");
  if (!disk.mounted()) GTEST_SKIP() << "may not mount a file system here";
  disk.Remount("ro");
  const ProgramResult run = Run({config()});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_NE(run.errors.find("Read-only file system"), std::string::npos) << run.errors;
  EXPECT_NE(run.errors.find("results"), std::string::npos) << run.errors;
  disk.Remount("rw");
  const std::string table = Run({config()}).output;
  disk.Remount("ro");
  EXPECT_EQ(Run({"report", config()}).output, table);
}

// The hidden states past the memory budget find no room: no cell is to blame, and none recorded.
TEST_F(FaultsTest, AFullScratchDiskIsNoFailedCell) {
  WriteWindows(/*count=*/90, /*tokens=*/64);
  const std::vector<std::string> command = {config(), "--quiet", "--threads", "1",
                                            "--memory-budget"};
  const auto with_budget = [&](std::string budget) {
    std::vector<std::string> arguments = command;
    arguments.push_back(std::move(budget));
    return Run(arguments);
  };
  const std::string refused = with_budget("1MiB").errors;
  const std::string marker = "expected at least ";
  const std::size_t at = refused.find(marker);
  ASSERT_NE(at, std::string::npos) << refused;
  const std::string least = refused.substr(at + marker.size());
  fs::remove_all(Results());
  const SmallDisk disk(Results(), "size=64k");
  if (!disk.mounted()) GTEST_SKIP() << "may not mount a file system here";
  const ProgramResult run = with_budget(least.substr(0, least.find(' ')));
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_EQ(WithoutFolder(run.errors),
            "daq-bench: results/test/work: cannot reserve 737280 bytes of scratch space: No space "
            "left on device\n");
  EXPECT_FALSE(fs::exists(Results() / "test/cells"));
}

TEST_F(FaultsTest, AFullDiskUnderTheReportIsNoSuccess) {
  ASSERT_EQ(Run({config()}).exit_code, 0);
  for (const std::string format : {"md", "html"}) {
    const ProgramResult run =
        RunProgram({"/bin/sh", "-c",
                    std::string("'" DAQ_BINARY "' report '") + config() + "' --results '" +
                        Results().string() + "' --format " + format + " > /dev/full"});
    EXPECT_EQ(run.exit_code, 3) << format;
    EXPECT_NE(run.errors.find("No space left on device"), std::string::npos) << run.errors;
  }
}

TEST_F(FaultsTest, ADamagedCellIsNamedAndTheOthersAreKept) {
  const std::string expected = Run({config()}).output;
  const auto cells = Cells();
  const fs::path damaged = Results() / "test/cells" / cells.begin()->first;
  CutInHalf(damaged);
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{config()}, {"report", config()}}) {
    const ProgramResult run = Run(command);
    EXPECT_EQ(run.exit_code, 2);
    EXPECT_NE(run.errors.find(damaged.string() + ": this is not a result of daq-bench, or it is "
                                                 "damaged"),
              std::string::npos)
        << run.errors;
  }
  fs::remove(damaged);
  EXPECT_EQ(Run({config()}).output, expected);
  EXPECT_EQ(Metrics().size(), cells.size());
}

TEST_F(FaultsTest, ADamagedPackedBlockFailsItsOwnModelAndIsMadeAnew) {
  const std::string expected = Expected();
  for (const char* file : {"block-0001", "block-0001.json"}) {
    fs::remove_all(Results());
    ASSERT_EQ(Run({config(), "--stage", "quantize"}).exit_code, 0);
    const fs::path damaged = FileIn(Results() / "test/work", file);
    ASSERT_FALSE(damaged.empty());
    CutInHalf(damaged);
    const ProgramResult run = Run({config(), "--stage", "evaluate"});
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_NE(run.errors.find(damaged.string() + ": this quantised block"), std::string::npos)
        << run.errors;
    EXPECT_NE(run.errors.find("3 cells computed, 1 failed"), std::string::npos) << run.errors;
    EXPECT_FALSE(fs::exists(damaged));
    const ProgramResult rerun = Run({config()});
    EXPECT_EQ(rerun.exit_code, 0) << rerun.errors;
    EXPECT_NE(rerun.errors.find("1 cell computed, 3 already there"), std::string::npos)
        << rerun.errors;
    EXPECT_EQ(rerun.output, expected) << file;
  }
}

// A model that is calibrated behind its own quantised blocks reads them when it goes on.
TEST_F(FaultsTest, ADamagedPackedBlockIsNamedByTheQuantiseStageThatGoesOn) {
  WriteConfig(R"(model: model
calibration: {protocol: ids, file: windows.json, windows: 2}
evaluate:
  - {protocol: ids, file: windows.json}
recipes:
  - {method: gptq, format: int3}
  - {method: rtn, format: nf4}
)");
  const std::string expected = Expected();
  ASSERT_EQ(Run({config(), "--stage", "quantize"}).exit_code, 0);
  for (const auto& model : fs::directory_iterator(Results() / "test/work")) {
    CutInHalf(model.path() / "block-0000");
    fs::remove(model.path() / "block-0001");
  }
  // gptq reads its first block to go on behind it, rtn does not until it is evaluated.
  const std::string problem = "block-0000: this quantised block is damaged";
  for (const auto& [stage, model] : {std::pair("quantize", "gptq int3"), {"all", "rtn nf4"}}) {
    const ProgramResult run = Run({config(), "--stage", stage});
    EXPECT_EQ(run.exit_code, 1) << run.errors;
    const std::size_t failed = run.errors.find("failed: ");
    ASSERT_NE(failed, std::string::npos) << run.errors;
    EXPECT_EQ(run.errors.find("failed: ", failed + 1), std::string::npos) << run.errors;
    const std::string line = run.errors.substr(failed, run.errors.find('\n', failed) - failed);
    EXPECT_NE(line.find(model), std::string::npos) << line;
    EXPECT_NE(line.find(problem), std::string::npos) << line;
  }
  const ProgramResult rerun = Run({config()});
  EXPECT_EQ(rerun.exit_code, 0) << rerun.errors;
  EXPECT_EQ(rerun.output, expected);
}

// Another checkpoint under the old name: new cells, and the old ones if it comes back.
TEST_F(FaultsTest, AnExchangedCheckpointIsNoticed) {
  const std::string first = Run({config()}).output;
  WriteTinyCheckpoint(folder_.path() / "model", {.seed = 7});
  const std::string second = Run({config()}).output;
  EXPECT_NE(second, first);
  EXPECT_EQ(second, Run({config()}, "fresh").output);
  WriteTinyCheckpoint(folder_.path() / "model", {});
  const ProgramResult again = Run({config()});
  EXPECT_EQ(again.output, first);
  EXPECT_NE(again.errors.find("0 cells computed"), std::string::npos) << again.errors;
}

// As cp -p and rsync -t leave it: with the size and the modification time of the one before.
TEST_F(FaultsTest, AnExchangedCheckpointOfTheSameAgeIsNoticed) {
  const fs::path weights = folder_.path() / "model/model.safetensors";
  const std::string first = Run({config()}).output;
  const auto size = fs::file_size(weights);
  const auto modified = fs::last_write_time(weights);
  WriteTinyCheckpoint(folder_.path() / "model", {.seed = 7});
  fs::last_write_time(weights, modified);
  ASSERT_EQ(fs::file_size(weights), size);
  const std::string second = Run({config()}).output;
  EXPECT_NE(second, first);
  EXPECT_EQ(second, Run({config()}, "fresh").output);
}

// Only a memory of what can be computed again.
TEST_F(FaultsTest, ADamagedMemoryOfContentHashesIsMadeAnew) {
  const std::string expected = Run({config()}).output;
  const fs::path file = Results() / "content-hashes.json";
  const std::string good = ReadFile(file);
  for (const std::string& damaged :
       {std::string(200'000, '['), good.substr(0, good.size() / 2), std::string("[]")}) {
    WriteFileAtomically(file, damaged);
    const ProgramResult run = Run({config()});
    EXPECT_EQ(run.exit_code, 0) << run.errors;
    EXPECT_EQ(run.output, expected);
    EXPECT_EQ(ReadFile(file), good);
  }
}

}  // namespace
}  // namespace daq
