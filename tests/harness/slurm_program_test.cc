// The batch scripts of `daq-bench slurm`, as text and as what a shell does with them; a real Slurm
// runs them in tests/slurm.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/harness/program_fixture.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

class SlurmProgramTest : public ProgramTest {
 protected:
  // A name that neither a shell nor Slurm may take for more than one word, or for a pattern.
  SlurmProgramTest() : config_(folder_.path() / "my 50%j study.yaml") {
    fs::rename(folder_.path() / "test.yaml", config_);
    fs::create_directory(folder_.path() / "data sets");
  }

  fs::path Folder() const { return folder_.path() / "our results/my 50%j study"; }

  ProgramResult Write(const std::vector<std::string>& more = {},
                      const std::string& threads = "1") const {
    std::vector<std::string> arguments = {
        "slurm",           config_.string(),
        "--tasks",         "2",
        "--threads",       threads,
        "--data",          (folder_.path() / "data sets").string(),
        "--memory-budget", "1GiB"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Run(arguments, "our results");
  }

  // A script with the machine's own paths as FOLDER/, PROGRAM and HERE.
  std::string Script(const std::string& name) const {
    std::string text = ReadFile(Folder() / "slurm" / name);
    for (const auto& [path, word] : {std::pair<std::string, std::string>{DAQ_BINARY, "PROGRAM"},
                                     {folder_.path().string() + "/", "FOLDER/"},
                                     {"cd '" + fs::current_path().string() + "'", "cd 'HERE'"}}) {
      for (std::size_t at = text.find(path); at != std::string::npos; at = text.find(path))
        text.replace(at, path.size(), word);
    }
    return text;
  }

  // A task of a script, as Slurm would start it.
  ProgramResult Task(const std::string& script, int task = 1) const {
    return RunProgram({"/usr/bin/env", fmt::format("SLURM_ARRAY_TASK_ID={}", task), "bash",
                       (Folder() / "slurm" / script).string()});
  }

  fs::path config_;
};

TEST_F(SlurmProgramTest, ScriptsNameEverythingWholly) {
  const ProgramResult run = Write();
  ASSERT_EQ(run.exit_code, 0) << run.errors;
  EXPECT_EQ(Script("quantize.sh"), R"sh(#!/bin/bash
#SBATCH --job-name='daq-my 50%j study-quantize'
#SBATCH --array=1,2
#SBATCH --cpus-per-task=1
#SBATCH --mem=558M
#SBATCH --time=00:11:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append
#SBATCH --output='FOLDER/our results/my 50%%j study/slurm/quantize-%a.log'

cd 'HERE' || exit
requeue=
stopping=
stop() { [[ -z $stopping ]] && kill -TERM "$child" 2>/dev/null; stopping=yes; }
trap 'requeue=yes; stop' USR1
trap stop TERM
'PROGRAM' run 'FOLDER/my 50%j study.yaml' --results 'FOLDER/our results' --data 'FOLDER/data sets' --threads 1 --memory-budget 1073741824B --stage quantize --shard "$SLURM_ARRAY_TASK_ID/2" --quiet &
child=$!
wait "$child"
code=$?
while kill -0 "$child" 2>/dev/null; do
  wait "$child"
  code=$?
done
if [[ $code -eq 130 && -n $stopping ]]; then
  if [[ -n $requeue ]]; then
    echo "stopped before the time limit; queueing again"
    trap '' TERM
    scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}" || exit
  fi
  exit 0
fi
[[ $code -eq 1 ]] && code=0
[[ $code -ne 0 ]] && exit "$code"
exit 0
)sh");
  EXPECT_EQ(Script("submit.sh"), R"sh(#!/bin/bash
# Submits the jobs of my 50%j study.yaml; options for sbatch may follow, such as --partition=long.
set -euo pipefail
cd -P "$(dirname "$0")"
jobs=$(squeue --me --noheader --format='%A %Z' | sort -u)
queued=
while read -r job folder; do
  if [[ $folder == "$PWD" ]]; then queued+=" $job"; fi
done <<< "$jobs"
if [[ -n $queued ]]; then
  echo "jobs of this experiment are still queued:$queued" >&2
  exit 2
fi
submit() { sbatch --parsable --kill-on-invalid-dep=yes "$@"; }
quantize=$(submit "$@" quantize.sh)
echo "quantize: job $quantize"
evaluate=$(submit --dependency=afterok:${quantize}_1:${quantize}_2 "$@" evaluate.sh)
echo "evaluate: job $evaluate"
report=$(submit --dependency=afterok:${evaluate}_1:${evaluate}_2 "$@" report.sh)
echo "report: job $report"
)sh");
}

TEST_F(SlurmProgramTest, OptionsForSbatchAreInTheScript) {
  ASSERT_EQ(Write({"--sbatch", "--partition=long --comment='two words'"}).exit_code, 0);
  EXPECT_NE(Script("submit.sh")
                .find("submit() { sbatch --parsable --kill-on-invalid-dep=yes --partition=long "
                      "--comment='two words' \"$@\"; }\n"),
            std::string::npos)
      << Script("submit.sh");
}

// A folder that is named has to be there, and no text is in one that is not.
TEST_F(SlurmProgramTest, ScriptsNameADataFolderThatIsThere) {
  ASSERT_EQ(Run({"slurm", config_.string()}, "our results").exit_code, 0);
  EXPECT_EQ(Script("evaluate.sh").find("--data"), std::string::npos);
}

// The last job evaluates nothing, whatever its tasks need.
TEST_F(SlurmProgramTest, TheReportAsksForWhatItTakes) {
  ASSERT_EQ(Write({}, "2").exit_code, 0);
  const std::string script = Script("report.sh");
  EXPECT_TRUE(
      script.starts_with("#!/bin/bash\n"
                         "#SBATCH --job-name='daq-my 50%j study-report'\n"
                         "#SBATCH --cpus-per-task=1\n"
                         "#SBATCH --mem=594M\n"
                         "#SBATCH --time=00:11:00\n"))
      << script;
  EXPECT_NE(script.find(" --threads 1 --memory-budget 1073741824B --stage join --quiet &\n"),
            std::string::npos)
      << script;
  EXPECT_NE(Script("evaluate.sh").find("#SBATCH --cpus-per-task=2\n"), std::string::npos);
}

TEST_F(SlurmProgramTest, TasksDoTheWorkAndAFailureIsTheirs) {
  ASSERT_EQ(Write().exit_code, 0);
  for (const char* stage : {"quantize.sh", "evaluate.sh"}) {
    for (const int task : {2, 1}) EXPECT_EQ(Task(stage, task).exit_code, 0) << stage;
  }
  const ProgramResult report = Task("report.sh");
  EXPECT_EQ(report.exit_code, 0) << report.errors;
  const std::string page = ReadFile(Folder() / "report.html");
  EXPECT_TRUE(page.starts_with("<!DOCTYPE html>"));
  // A page that cannot be made leaves the old one, and the job says so.
  for (const auto& entry : fs::directory_iterator(Folder() / "cells"))
    fs::resize_file(entry.path(), 10);
  EXPECT_EQ(Task("report.sh").exit_code, 2);
  EXPECT_EQ(ReadFile(Folder() / "report.html"), page);
}

// A recipe that fails for a recorded reason keeps no other task back; a full disk does.
TEST_F(SlurmProgramTest, OnlyFailedCellsAreSuccess) {
  ASSERT_EQ(Write().exit_code, 0);
  // Nothing is quantised: evaluating ends with exit code 1.
  EXPECT_EQ(Task("evaluate.sh", 2).exit_code, 0);
  fs::remove_all(Folder() / "work");
  WriteFileAtomically(Folder() / "work", "a file where a folder is to be");
  const ProgramResult run = Task("quantize.sh");
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_NE(run.errors.find("Not a directory"), std::string::npos) << run.errors;
}

}  // namespace
}  // namespace daq
