#include "harness/slurm.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "base/bootstrap.h"
#include "base/error.h"
#include "base/file.h"
#include "harness/machine_rates.h"
#include "harness/pending.h"
#include "harness/progress.h"
#include "harness/protocol_gate.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

constexpr double kMebibyte = 1024 * 1024;

// In single quotes for the shell.
std::string Quoted(const std::string& word) {
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// As a part of a file name in which Slurm replaces % and a letter.
std::string Literal(const std::string& text) {
  std::string literal;
  for (const char c : text) literal += c == '%' ? std::string("%%") : std::string(1, c);
  return literal;
}

fs::path FolderOf(const ExperimentFile& experiment, const fs::path& results) {
  return fs::absolute(ExperimentFolder(experiment, results)) / "slurm";
}

// What a task asks Slurm for, before margins.
struct Needs {
  int threads;
  double seconds = 0;
  std::uint64_t memory_bytes = 0;
};

// The tasks of an array with something to do, and what the largest of them needs.
struct JobArray {
  RunStage stage;
  Needs needs;
  std::vector<Index> tasks = {};
};

JobArray ArrayOf(const Workload& work, RunStage stage, Index tasks, const RunOptions& options,
                 const MachineRates& rates, const fs::path& folder) {
  JobArray array{.stage = stage, .needs = {.threads = options.threads}};
  for (Index task = 1; task <= tasks; ++task) {
    const Share share = ShareOf(work, stage, {.index = task, .count = tasks});
    const PendingCells pending = FindPending(work, share, folder);
    if (pending.empty()) continue;
    const Forecast forecast =
        ForecastOf(work, stage, pending, options.threads, options.memory_budget_bytes);
    array.tasks.push_back(task);
    array.needs.seconds = std::max(array.needs.seconds, rates.Seconds(forecast.work));
    array.needs.memory_bytes = std::max(array.needs.memory_bytes, forecast.memory_bytes);
  }
  return array;
}

// Of the last job, which joins, compares and draws, in one thread: draws of the bootstrap are most
// of its time (25 ns a window, measured), and what is kept of them and of a joined cell's tokens
// most of its memory beyond the program's own.
Needs ReportNeeds(const Workload& work) {
  constexpr std::uint64_t kProgramBytes = 64ULL << 20U;
  constexpr std::uint64_t kTokenBytes = 64;  // losses and divergences, as parts and joined
  Needs needs{.threads = 1, .memory_bytes = kProgramBytes};
  std::uint64_t most_tokens = 0;
  for (const Cell& cell : work.cells) {
    const TokenWindows& windows = work.WindowsOf(cell);
    // Alone, and on the windows shared with full precision and with a baseline.
    needs.seconds += 3 * 25e-9 * kBootstrapDraws * static_cast<double>(windows.count());
    needs.memory_bytes += 3 * sizeof(double) * kBootstrapDraws;
    most_tokens =
        std::max(most_tokens, static_cast<std::uint64_t>(windows.count() * windows.window_tokens));
  }
  needs.memory_bytes += kTokenBytes * most_tokens;
  return needs;
}

std::string_view NameOf(RunStage stage) {
  switch (stage) {
    case RunStage::kFullPrecision:
      return "full_precision";
    case RunStage::kQuantize:
      return "quantize";
    default:
      return "evaluate";
  }
}

// Whether the gate waits for full precision of a model. Throws InputError where it is known that it
// lets none of its quantised models through: no task is to find that out.
bool WaitsForFullPrecision(const Workload& work, const CellStore& store) {
  bool waits = false;
  for (std::size_t model = 0; model < work.models.size(); ++model)
    waits |= !OpenGateCells(work, model, store).empty();
  return waits;
}

// What the forecast's errors and a slower machine may add.
Index Minutes(double seconds) { return 10 + static_cast<Index>(std::ceil(2 * seconds / 60)); }

Index Mebibytes(std::uint64_t bytes) {
  return 512 + static_cast<Index>(std::ceil(1.25 * static_cast<double>(bytes) / kMebibyte));
}

// Writes the scripts of one experiment.
class Scripts {
 public:
  Scripts(const ExperimentFile& experiment, const RunOptions& options, Index tasks)
      : experiment_(experiment),
        options_(options),
        tasks_(tasks),
        folder_(FolderOf(experiment, options.results)) {}

  void WriteArray(const JobArray& array) const {
    WriteFileAtomically(
        folder_ / fmt::format("{}.sh", NameOf(array.stage)),
        Header(NameOf(array.stage), array.needs,
               fmt::format("#SBATCH --array={}\n", fmt::join(array.tasks, ","))) +
            Body(fmt::format("{} --stage {} --shard \"$SLURM_ARRAY_TASK_ID/{}\" --quiet",
                             Command("run", array.needs.threads), NameOf(array.stage), tasks_)));
  }

  // Joins what tasks that ended at the same moment each left to the other, and prints. It evaluates
  // nothing: a model that diverged in its task would do so again here, with what a report asks for.
  void WriteReport(const Needs& needs) const {
    const std::string report =
        fmt::format("{} report {} --results {}", Quoted(Program()),
                    Quoted(fs::absolute(experiment_.path).string()), Quoted(Results()));
    WriteFileAtomically(
        folder_ / "report.sh",
        Header("report", needs, "") +
            Body(fmt::format("{} --stage join --quiet", Command("run", needs.threads)),
                 fmt::format(
                     "page={}\n"
                     "{} --format html > \"$page.tmp\" && mv \"$page.tmp\" \"$page\" || exit\n",
                     Quoted((folder_.parent_path() / "report.html").string()), report)));
  }

  // `arrays`: those that have tasks, in order. Slurm runs jobs in the folder that they are
  // submitted from, so the scripts' own folder tells them from those of other users and results.
  void WriteSubmit(const std::vector<JobArray>& arrays, const std::string& sbatch_options) const {
    std::string text = fmt::format(
        "#!/bin/bash\n"
        "# Submits the jobs of {0}; options for sbatch may follow, such as --partition=long.\n"
        "set -euo pipefail\n"
        "cd -P \"$(dirname \"$0\")\"\n"
        "jobs=$(squeue --me --noheader --format='%A %Z' | sort -u)\n"
        "queued=\n"
        "while read -r job folder; do\n"
        "  if [[ $folder == \"$PWD\" ]]; then queued+=\" $job\"; fi\n"
        "done <<< \"$jobs\"\n"
        "if [[ -n $queued ]]; then\n"
        "  echo \"jobs of this experiment are still queued:$queued\" >&2\n"
        "  exit 2\n"
        "fi\n"
        "submit() {{ sbatch --parsable --kill-on-invalid-dep=yes{1} \"$@\"; }}\n",
        experiment_.path.filename().string(), sbatch_options.empty() ? "" : " " + sbatch_options);
    // Task by task: of a whole array Slurm remembers the exit code of a task that has run again
    // since, and then never starts what depends on it.
    std::string after;
    const auto add = [&](std::string_view name, const std::vector<Index>& tasks) {
      text += fmt::format("{0}=$(submit{1} \"$@\" {0}.sh)\necho \"{0}: job ${0}\"\n", name, after);
      after = " --dependency=afterok";
      for (const Index task : tasks) after += fmt::format(":${{{}}}_{}", name, task);
    };
    for (const JobArray& array : arrays) add(NameOf(array.stage), array.tasks);
    add("report", {});
    const fs::path file = folder_ / "submit.sh";
    WriteFileAtomically(file, text);
    fs::permissions(file, fs::perms::owner_exec, fs::perm_options::add);
  }

 private:
  std::string Results() const { return fs::absolute(options_.results).string(); }
  static std::string Program() { return fs::read_symlink("/proc/self/exe").string(); }

  std::string Command(std::string_view command, int threads) const {
    // Where it is not there, no text is in it: a folder that is named has to be there.
    const std::string data =
        fs::is_directory(options_.data)
            ? fmt::format(" --data {}", Quoted(fs::absolute(options_.data).string()))
            : "";
    return fmt::format("{} {} {} --results {}{} --threads {} --memory-budget {}B{}",
                       Quoted(Program()), command, Quoted(fs::absolute(experiment_.path).string()),
                       Quoted(Results()), data, threads, options_.memory_budget_bytes,
                       options_.gate ? "" : " --no-gate");
  }

  std::string Header(std::string_view name, const Needs& needs, std::string_view more) const {
    const Index minutes = Minutes(needs.seconds);
    return fmt::format(
        "#!/bin/bash\n"
        "#SBATCH --job-name={}\n"
        "{}"
        "#SBATCH --cpus-per-task={}\n"
        "#SBATCH --mem={}M\n"
        "#SBATCH --time={:02}:{:02}:00\n"
        "#SBATCH --requeue\n"
        "#SBATCH --signal=B:USR1@120\n"
        "#SBATCH --open-mode=append\n"
        "#SBATCH --output={}\n"
        "\n"
        "cd {} || exit\n",
        Quoted(fmt::format("daq-{}-{}", experiment_.name, name)), more, needs.threads,
        Mebibytes(needs.memory_bytes), minutes / 60, minutes % 60,
        Quoted(Literal(folder_.string()) +
               fmt::format("/{}{}.log", name, more.empty() ? "" : "-%a")),
        Quoted(fs::current_path().string()));
  }

  // Runs the program so that one signal reaches it; a second would end it at once. Before the time
  // limit (USR1) it stops cleanly and the task is queued again; cancelled or requeued by others
  // (TERM), it only stops. Exit code 0 wherever others may go on, also after cells that failed (1),
  // which are recorded. An array's last task has the array's own number as its job's, so both are
  // named. Queueing again ends what runs of the job, by TERM: not before scontrol has its answer.
  static std::string Body(std::string_view command, std::string_view then = "") {
    return fmt::format(
        "requeue=\n"
        "stopping=\n"
        "stop() {{ [[ -z $stopping ]] && kill -TERM \"$child\" 2>/dev/null; stopping=yes; }}\n"
        "trap 'requeue=yes; stop' USR1\n"
        "trap stop TERM\n"
        "{} &\n"
        "child=$!\n"
        "wait \"$child\"\n"
        "code=$?\n"
        "while kill -0 \"$child\" 2>/dev/null; do\n"
        "  wait \"$child\"\n"
        "  code=$?\n"
        "done\n"
        "if [[ $code -eq 130 && -n $stopping ]]; then\n"
        "  if [[ -n $requeue ]]; then\n"
        "    echo \"stopped before the time limit; queueing again\"\n"
        "    trap '' TERM\n"
        "    scontrol requeue "
        "\"${{SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}}${{SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}}"
        "\" || exit\n"
        "  fi\n"
        "  exit 0\n"
        "fi\n"
        "[[ $code -eq 1 ]] && code=0\n"
        "[[ $code -ne 0 ]] && exit \"$code\"\n"
        "{}"
        "exit 0\n",
        command, then);
  }

  const ExperimentFile& experiment_;
  const RunOptions& options_;
  Index tasks_;
  fs::path folder_;
};

std::string Describe(const JobArray& array) {
  if (array.tasks.empty()) return fmt::format("{}: nothing left to do\n", NameOf(array.stage));
  return fmt::format("{}: {} {}, each about {} or less, {} MiB\n", NameOf(array.stage),
                     array.tasks.size(), array.tasks.size() == 1 ? "task" : "tasks",
                     FormatSeconds(array.needs.seconds), Mebibytes(array.needs.memory_bytes));
}

}  // namespace

fs::path SubmitScript(const ExperimentFile& experiment, const fs::path& results) {
  return FolderOf(experiment, results) / "submit.sh";
}

std::string WriteSlurmScripts(const ExperimentFile& experiment, const RunOptions& options,
                              Index tasks, const std::string& sbatch_options) {
  DAQ_CHECK(tasks >= 1, "an array has a task");
  const Workload work =
      ResolveWorkload(experiment, {.data = options.data, .results = options.results});
  RefuseProblems(work);
  const fs::path results_folder = ExperimentFolder(experiment, options.results);
  ThreadPool pool(options.threads);
  const MachineRates rates = KeptRates(RatesFile(), &pool);
  const auto array = [&](RunStage stage) {
    return ArrayOf(work, stage, tasks, options, rates, results_folder);
  };
  std::vector<JobArray> arrays;
  if (options.gate && WaitsForFullPrecision(work, CellStore(results_folder)))
    arrays.push_back(array(RunStage::kFullPrecision));
  arrays.push_back(array(RunStage::kQuantize));
  arrays.push_back(array(RunStage::kEvaluate));
  const Scripts scripts(experiment, options, tasks);
  std::string text;
  for (const JobArray& part : arrays) {
    text += Describe(part);
    if (!part.tasks.empty()) scripts.WriteArray(part);
  }
  scripts.WriteReport(ReportNeeds(work));
  std::erase_if(arrays, [](const JobArray& part) { return part.tasks.empty(); });
  scripts.WriteSubmit(arrays, sbatch_options);
  return text + fmt::format("{} submits them, with the time and memory of the largest task\n",
                            SubmitScript(experiment, options.results).string());
}

}  // namespace daq
