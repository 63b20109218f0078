#include "harness/command_line.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/blas.h"
#include "base/bus_error.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "harness/byte_size.h"
#include "harness/command_options.h"
#include "harness/datasets.h"
#include "harness/download_progress.h"
#include "harness/explain.h"
#include "harness/fetch.h"
#include "harness/host.h"
#include "harness/inspect.h"
#include "harness/manifest.h"
#include "harness/nearest_name.h"
#include "harness/plan.h"
#include "harness/report.h"
#include "harness/run.h"
#include "harness/slurm.h"

namespace daq {
namespace {

constexpr int kExitBadInput = 2;
constexpr int kExitMachine = 3;
constexpr int kExitInterrupted = 130;

// What the options say; each command reads those it declares.
struct Arguments {
  std::string config;
  std::vector<std::string> configs;
  std::string dataset;
  RunOptions run;
  InspectRequest inspect;
  std::string data;
  std::string memory_budget;
  std::string shard;
  Index tasks = 4;
  bool submit = false;
  std::string sbatch_options;
  int save_seconds = 60;
  bool explain = false;
  std::string against;
  ReportFormat format = ReportFormat::kMarkdown;
};

// The budget of the flag, else of the config, else 70 % of the machine's memory: the rest is for
// the page cache, through which weights are read, and for other programs.
std::uint64_t MemoryBudget(const Arguments& arguments, const ExperimentFile& experiment) {
  if (!arguments.memory_budget.empty())
    return ParseByteSize(arguments.memory_budget, {}, "--memory-budget");
  if (experiment.memory_budget_bytes) return *experiment.memory_budget_bytes;
  return PhysicalMemoryBytes() / 10 * 7;
}

RunOptions OptionsFor(const Arguments& arguments, const ExperimentFile& experiment) {
  RunOptions options = arguments.run;
  options.data = DataFolder(arguments.data);
  if (!arguments.data.empty() && !std::filesystem::is_directory(arguments.data)) {
    throw InputError({}, "--data", "a folder that is there", fmt::format("\"{}\"", arguments.data));
  }
  options.memory_budget_bytes = MemoryBudget(arguments, experiment);
  options.save_interval = std::chrono::seconds(arguments.save_seconds);
  if (!arguments.shard.empty()) options.shard = ParseShard(arguments.shard);
  return options;
}

// Before hours of work whose results could not be kept.
void MakeResultsFolder(const Arguments& arguments) {
  const std::filesystem::path& folder = arguments.run.results;
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw std::system_error(error, fmt::format("--results: cannot create {}", folder.string()));
}

std::string ReportOf(const ExperimentFile& experiment, const Arguments& arguments) {
  const std::filesystem::path folder = ExperimentFolder(experiment, arguments.run.results);
  return Report(experiment, ReadManifest(experiment, folder), folder,
                {.format = arguments.format, .against = arguments.against});
}

int RunCommand(const Arguments& arguments) {
  const ExperimentFile experiment = ReadExperimentFile(arguments.config);
  SetUpBlas();
  const RunOptions options = OptionsFor(arguments, experiment);
  MakeResultsFolder(arguments);
  const RunOutcome outcome = RunExperiment(experiment, options);
  // A part's table is empty where the other parts' cells go.
  if (!options.shard && (options.stage == RunStage::kAll || options.stage == RunStage::kEvaluate ||
                         options.stage == RunStage::kJoin))
    fmt::print("{}", ReportOf(experiment, arguments));
  return static_cast<int>(outcome);
}

int PlanCommand(const Arguments& arguments) {
  const ExperimentFile experiment = ReadExperimentFile(arguments.config);
  const RunOptions options = OptionsFor(arguments, experiment);
  if (arguments.explain) {
    fmt::print("{}", Explain(experiment));
    return 0;
  }
  SetUpBlas();
  MakeResultsFolder(arguments);
  const Plan plan = PlanExperiment(experiment, options);
  fmt::print("{}", plan.text);
  return plan.runs ? 0 : kExitBadInput;
}

int ReportCommand(const Arguments& arguments) {
  std::vector<std::string> reports;
  std::set<std::filesystem::path> seen;
  for (const std::string& config : arguments.configs) {
    if (!seen.insert(std::filesystem::weakly_canonical(config)).second)
      throw InputError({}, "CONFIG", "every experiment once", config + " again");
    reports.push_back(ReportOf(ReadExperimentFile(config), arguments));
  }
  fmt::print("{}", JoinReports(reports, arguments.format));
  return 0;
}

int SlurmCommand(const Arguments& arguments) {
  const ExperimentFile experiment = ReadExperimentFile(arguments.config);
  const RunOptions options = OptionsFor(arguments, experiment);
  SetUpBlas();
  MakeResultsFolder(arguments);
  fmt::print("{}",
             WriteSlurmScripts(experiment, options, arguments.tasks, arguments.sbatch_options));
  if (!arguments.submit) return 0;
  std::fflush(stdout);
  const std::string command =
      fmt::format("'{}'", SubmitScript(experiment, arguments.run.results).string());
  const int status = std::system(command.c_str());
  if (status == 0) return 0;
  // What submit.sh refuses itself; all else is sbatch's.
  return WIFEXITED(status) && WEXITSTATUS(status) == kExitBadInput ? kExitBadInput : kExitMachine;
}

int InspectCommand(const Arguments& arguments) {
  const ExperimentFile experiment = ReadExperimentFile(arguments.config);
  const RunOptions options = OptionsFor(arguments, experiment);
  if (arguments.inspect.layer.empty()) {
    fmt::print("{}", InspectResults(experiment, options));
    return 0;
  }
  SetUpBlas();
  MakeResultsFolder(arguments);
  fmt::print("{}", InspectLayer(experiment, options, arguments.inspect));
  return 0;
}

int FetchCommand(const Arguments& arguments) {
  const std::filesystem::path folder = DataFolder(arguments.data);
  DownloadProgress progress;
  const std::vector<FetchedFile> files =
      FetchDataset(Datasets(), arguments.dataset, folder, std::ref(progress));
  progress.Finish();
  for (const FetchedFile& file : files) {
    fmt::print("{}: {}\n", file.path.string(),
               file.already_there ? "already there, unchanged"
               : file.published
                   ? "fetched, hash right"
                   : fmt::format("fetched; no published hash to check by, sha256 {} kept beside it",
                                 file.sha256));
  }
  return 0;
}

void AddResultsOption(CLI::App* command, Arguments* arguments) {
  command->add_option("--results", arguments->run.results, "folder of results")
      ->check(Something("a folder"))
      ->default_val("results");
}

void AddDataOption(CLI::App* command, Arguments* arguments) {
  command
      ->add_option("--data", arguments->data,
                   "the folder of datasets (default: $DAQ_BENCH_DATA, else data); no other is "
                   "looked into")
      ->check(Something("a folder"));
}

void AddRunOptions(CLI::App* command, Arguments* arguments) {
  command
      ->add_option("CONFIG", arguments->config, "experiment file (configs/README.md has every key)")
      ->required();
  command
      ->add_option("--threads", arguments->run.threads,
                   "threads to compute with; results do not depend on it")
      ->check(CLI::Range(1, 4096))
      ->default_val(AvailableProcessors());
  command
      ->add_option("--memory-budget", arguments->memory_budget,
                   "memory the process may use, such as 12GiB (default: the config's, else 70 % "
                   "of the machine's)")
      ->check(Something("a size such as 12GiB"));
  AddResultsOption(command, arguments);
  AddDataOption(command, arguments);
}

void AddGateOption(CLI::App* command, Arguments* arguments) {
  command->add_flag("!--no-gate", arguments->run.gate,
                    "go on where full precision is more than 1 % off its published perplexity");
}

void AddFormatOption(CLI::App* command, Arguments* arguments) {
  AddNamed<ReportFormat>(command, "--format", "md (default), csv, json, latex or html",
                         {{"md", ReportFormat::kMarkdown},
                          {"csv", ReportFormat::kCsv},
                          {"json", ReportFormat::kJson},
                          {"latex", ReportFormat::kLatex},
                          {"html", ReportFormat::kHtml}},
                         &arguments->format);
}

// Declares every command; `action` becomes the one that was given.
void Declare(CLI::App* app, Arguments* arguments, std::function<int()>* action) {
  app->require_subcommand(1);
  app->set_version_flag("--version", Version());
  app->footer(
      "daq-bench CONFIG is short for daq-bench run CONFIG.\n"
      "Exit codes: 0 done, 1 a cell failed, 2 bad input or usage (plan: a run would be refused), 3 "
      "the machine refused (disk, memory, a missing program), 130 interrupted.");

  CLI::App* run =
      app->add_subcommand("run", "compute the cells that are missing, then print the table");
  AddRunOptions(run, arguments);
  AddFormatOption(run, arguments);
  run->add_option(
         "--save-seconds", arguments->save_seconds,
         "seconds between saves of an unfinished evaluation (default 60; 0: after every block)")
      ->check(CLI::Range(0, 86400));
  run->add_flag("--keep-quantized", arguments->run.keep_quantized,
                "keep the packed weights of finished models, until a run without this");
  run->add_flag("--quiet", arguments->run.quiet, "no progress");
  AddGateOption(run, arguments);
  run->add_option("--shard", arguments->shard,
                  "compute one part of the work, such as 2/4, beside the other parts in the same "
                  "results folder (docs/clusters.md)")
      ->check(Something("a part such as 2/4"));
  AddNamed<RunStage>(
      run, "--stage",
      "all (default), full_precision (evaluates it alone, where it is compared with published "
      "values before the rest), quantize, evaluate (quantised models wait in the results folder) "
      "or join (computes nothing, but writes the cells whose windows shards have all left)",
      {{"all", RunStage::kAll},
       {"full_precision", RunStage::kFullPrecision},
       {"quantize", RunStage::kQuantize},
       {"evaluate", RunStage::kEvaluate},
       {"join", RunStage::kJoin}},
      &arguments->run.stage);
  run->callback([=] { *action = [=] { return RunCommand(*arguments); }; });

  CLI::App* plan =
      app->add_subcommand("plan", "what a run would do: cells, missing inputs, time, memory, disk");
  AddRunOptions(plan, arguments);
  plan->add_flag("--explain", arguments->explain,
                 "print every setting with its value, meaning and source instead");
  plan->callback([=] { *action = [=] { return PlanCommand(*arguments); }; });

  CLI::App* report = app->add_subcommand("report", "print the finished cells of experiments");
  report->add_option("CONFIG", arguments->configs, "experiment files")->required();
  AddResultsOption(report, arguments);
  AddFormatOption(report, arguments);
  report
      ->add_option("--against", arguments->against,
                   "compare each row with this one, such as awq (of the row's own format), \"rtn "
                   "nf4 channel\" or fp16: paired difference, 95 % interval, significance")
      ->check(Something("a row of the table"));
  report->callback([=] { *action = [=] { return ReportCommand(*arguments); }; });

  CLI::App* slurm = app->add_subcommand(
      "slurm", "write, or submit, Slurm job arrays for what is missing (docs/clusters.md)");
  AddRunOptions(slurm, arguments);
  slurm->add_option("--tasks", arguments->tasks, "tasks of each job array")
      ->check(CLI::Range(1, 100000))
      ->default_val(4);
  AddGateOption(slurm, arguments);
  slurm->add_flag("--submit", arguments->submit, "submit them");
  slurm->add_option("--sbatch", arguments->sbatch_options,
                    "options for sbatch, such as \"--partition=long --account=me\": submit.sh has "
                    "them");
  slurm->callback([=] { *action = [=] { return SlurmCommand(*arguments); }; });

  CLI::App* inspect = app->add_subcommand(
      "inspect", "what each recipe did to the layers: errors, clipping, density, codes");
  AddRunOptions(inspect, arguments);
  inspect
      ->add_option("--layer", arguments->inspect.layer,
                   "one layer, such as 0.mlp.up_proj: quantised anew, with a plot (default: means "
                   "of the finished cells)")
      ->check(Something("a layer"));
  inspect->add_option("--row", arguments->inspect.row, "the output channel that is drawn")
      ->default_val(0);
  inspect
      ->add_option("--plot", arguments->inspect.plot,
                   "SVG file to write (default: <results>/<experiment>/<layer>.svg)")
      ->check(Something("a file"));
  inspect->add_flag("--quiet", arguments->run.quiet, "no progress");
  inspect->callback([=] { *action = [=] { return InspectCommand(*arguments); }; });

  CLI::App* fetch = app->add_subcommand("fetch", "download a dataset and check its hash");
  std::vector<std::string_view> datasets;
  for (const Dataset& dataset : Datasets().datasets) datasets.push_back(dataset.name);
  fetch->add_option("DATASET", arguments->dataset, OneOf(datasets) + " (configs/datasets.yaml)")
      ->required();
  AddDataOption(fetch, arguments);
  fetch->callback([=] { *action = [=] { return FetchCommand(*arguments); }; });
  for (CLI::App* command : app->get_subcommands({})) command->allow_extras();  // ExtraMistake
}

constexpr std::array<std::string_view, 6> kCommands = {"run",     "plan",  "report",
                                                       "inspect", "slurm", "fetch"};

bool IsCommand(std::string_view word) {
  return std::find(kCommands.begin(), kCommands.end(), word) != kCommands.end();
}

// `daq-bench CONFIG` means `daq-bench run CONFIG`.
void InsertDefaultCommand(std::vector<std::string>* arguments) {
  constexpr std::array<std::string_view, 3> kOwnOptions = {"--help", "-h", "--version"};
  if (arguments->empty() || IsCommand(arguments->front()) ||
      std::find(kOwnOptions.begin(), kOwnOptions.end(), arguments->front()) != kOwnOptions.end())
    return;
  arguments->insert(arguments->begin(), "run");
}

// What is wrong with the first argument if it cannot be meant as a config: nothing given, or a
// mistyped command. Empty if all is well.
std::string FirstArgumentMistake(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    return fmt::format("expected an experiment file or a command ({}); daq-bench --help says more",
                       fmt::join(kCommands, ", "));
  }
  const std::string& first = arguments.front();
  const bool may_be_file =
      first.find_first_of("./") != std::string::npos || std::filesystem::exists(first);
  if (first.starts_with('-') || IsCommand(first) || may_be_file) return "";
  return fmt::format("\"{}\" is neither a file nor a command: {}{}", first,
                     fmt::join(kCommands, ", "), DidYouMean(first, kCommands));
}

// What is still in the buffer of standard output may meet a full disk.
void FlushOutput() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
    throw std::system_error(errno, std::generic_category(), "standard output: cannot write");
}

}  // namespace

int RunCommandLine(std::vector<std::string> arguments) {
  CLI::App app("Compares weight-only quantisers on LLaMA checkpoints by perplexity.", "daq-bench");
  Arguments parsed;
  std::function<int()> action;
  Declare(&app, &parsed, &action);
  if (const std::string mistake = FirstArgumentMistake(arguments); !mistake.empty()) {
    fmt::print(stderr, "daq-bench: {}\n", mistake);
    return kExitBadInput;
  }
  InsertDefaultCommand(&arguments);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them last first
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitBadInput;
  }
  if (const std::string mistake = ExtraMistake(*app.get_subcommands().front()); !mistake.empty()) {
    fmt::print(stderr, "{}\n", mistake);
    return kExitBadInput;
  }
  CatchInterrupts();
  ExplainBusErrors(kExitMachine);
  try {
    const int code = action();
    FlushOutput();
    return code;
  } catch (const InputError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return kExitBadInput;
  } catch (const Interrupted&) {
    fmt::print(stderr, "stopped; the same command goes on where this one was\n");
    return kExitInterrupted;
  } catch (const std::exception& error) {
    fmt::print(stderr, "daq-bench: {}\n", error.what());
    return kExitMachine;
  }
}

}  // namespace daq
