#pragma once
#include <filesystem>
#include <string>

#include "harness/run.h"

namespace daq {

// Writes Slurm's batch scripts for what is missing of an experiment into <its folder>/slurm and
// returns what they will do, as text: job arrays that evaluate full precision where the gate is to
// compare it first (harness/protocol_gate.h), that quantise, and that evaluate, each behind the one
// before, a job that reports behind them, in one thread, and submit.sh, which submits them all. An
// array's tasks have options.threads cores; memory and time come from the forecast of the largest
// task, time with a margin of twice and ten minutes. `tasks` is the size of each array; tasks with
// nothing left to do are left out. `sbatch_options` are for sbatch, as a shell reads them. Throws
// InputError if an input is missing or wrong, or if full precision is known not to be what is
// published of it.
std::string WriteSlurmScripts(const ExperimentFile& experiment, const RunOptions& options,
                              Index tasks, const std::string& sbatch_options);

// The script that submits them all.
std::filesystem::path SubmitScript(const ExperimentFile& experiment,
                                   const std::filesystem::path& results);

}  // namespace daq
