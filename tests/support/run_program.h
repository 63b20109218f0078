#pragma once
#include <csignal>
#include <string>
#include <vector>

namespace daq {

// What a program that ran to its end left.
struct ProgramResult {
  int exit_code = -1;  // 128 + signal if one ended it
  std::string output;  // standard output
  std::string errors;  // standard error
};

// Runs a program with arguments (arguments[0] is its path) and waits for it. If `kill_after_ms` >=
// 0, sends `signal` after so many milliseconds unless it ended before.
ProgramResult RunProgram(const std::vector<std::string>& arguments, int kill_after_ms = -1,
                         int signal = SIGKILL);

}  // namespace daq
