#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace daq {

// From here on whatever ends the process (a signal, a failed check, a sanitizer's finding, more
// than 5 seconds for one input, 512 MiB in one piece or 2 GiB in all, while inputs are 256 KiB at
// most) writes the input of the moment to `failure_file` first and says so on standard error, with
// how to replay it. One per process.
void StartWatchdog(const std::filesystem::path& failure_file, const std::string& replay_command);

// What is executed from now on; must stay valid until the next call. Starts the clock of a hang.
void WatchInput(std::string_view input, std::uint64_t execution);

// The last input is done: what ends the process now has nothing to do with it.
void StopWatchdog();

// Writes the input and ends the process with `reason`.
[[noreturn]] void FailWith(std::string_view reason);

}  // namespace daq
