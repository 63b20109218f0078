#pragma once
#include <filesystem>
#include <string>

#include "harness/run.h"

namespace daq {

// Writes Slurm's batch scripts for what is missing of an experiment into <its folder>/slurm and
// returns what they will do, as text: a job array that quantises, one that evaluates behind it, a
// job that reports behind both, and submit.sh, which submits them. Cores are options.threads;
// memory and time come from the forecast of the largest task, time with a margin of twice and ten
// minutes. `tasks` is the size of both arrays; tasks with nothing left to do are
// left out. Throws InputError if an input is missing or wrong.
std::string WriteSlurmScripts(const ExperimentFile& experiment, const RunOptions& options,
                              Index tasks);

// The script that submits them all.
std::filesystem::path SubmitScript(const ExperimentFile& experiment,
                                   const std::filesystem::path& results);

}  // namespace daq
