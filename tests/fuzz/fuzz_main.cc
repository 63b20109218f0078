// Feeds the readers of outside files wrong ones: fuzz TARGET --executions N --seed S. An execution
// ends in success or in an InputError; anything else ends the process with code 1, with the input
// in a file. The build to use is `asan`, where a read out of bounds is a crash.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <exception>
#include <filesystem>
#include <set>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/mutator.h"
#include "tests/fuzz/watchdog.h"

namespace daq {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string target;
  std::uint64_t executions = 10'000;
  std::uint64_t seed = 1;
  fs::path failures = ".";
  std::string replay = {};
};

// What the message says without what it says it of: numbers, whatever stands in quotes, what was
// found, where a syntax breaks. Inputs that are refused for a new reason got further than others,
// so mutations go on from there; that is what coverage is to other fuzzers.
std::string ReasonOf(std::string_view message) {
  for (const std::string_view end : {", found ", "not JSON", "syntax error", "found a mistake"})
    message = message.substr(0, message.find(end));
  std::string reason;
  bool quoted = false;
  for (const char c : message) {
    if (c == '"') quoted = !quoted;
    if (!quoted && (c < '0' || c > '9') && reason.size() < 160) reason.push_back(c);
  }
  return reason;
}

// Empty where the input was read, else why it was refused.
std::string Execute(const FuzzTarget& target, std::string_view input) {
  try {
    target.run(input);
    return "";
  } catch (const InputError& error) {
    return error.what();
  } catch (const std::exception& error) {
    FailWith(fmt::format("an exception that is no InputError: {}", error.what()));
  } catch (...) {
    FailWith("an exception of an unknown type");
  }
}

// A seed that is refused would leave what lies behind untested.
void CheckSeeds(const FuzzTarget& target) {
  for (std::size_t i = 0; i < target.seeds.size(); ++i) {
    WatchInput(target.seeds[i], 0);
    if (const std::string refused = Execute(target, target.seeds[i]); !refused.empty())
      FailWith(fmt::format("seed {} of {} is refused: {}", i, target.name, refused));
  }
}

long PeakMegabytes() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

void Fuzz(const FuzzTarget& target, const Options& options) {
  CheckSeeds(target);
  Mutator mutator(options.seed, target.seeds, target.words);
  std::set<std::string> reasons;
  std::uint64_t refused = 0;
  double slowest = 0;
  const auto started = Clock::now();
  for (std::uint64_t execution = 1; execution <= options.executions; ++execution) {
    const std::string& input = mutator.Next();
    WatchInput(input, execution);
    const auto begun = Clock::now();
    const std::string message = Execute(target, input);
    slowest = std::max(slowest, std::chrono::duration<double>(Clock::now() - begun).count());
    if (message.empty()) continue;
    ++refused;
    if (reasons.insert(ReasonOf(message)).second) mutator.Keep();
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - started).count();
  fmt::print(
      "{}: seed {}, {} executions in {:.1f} s ({:.0f}/s): {} read, {} refused for {} reasons; "
      "slowest {:.0f} ms, peak {} MiB\n",
      target.name, options.seed, options.executions, seconds,
      static_cast<double>(options.executions) / seconds, options.executions - refused, refused,
      reasons.size(), 1000 * slowest, PeakMegabytes());
}

void Replay(const FuzzTarget& target, const std::string& file) {
  const std::string input = ReadFile(file);
  WatchInput(input, 1);
  const std::string message = Execute(target, input);
  fmt::print("{}: {}\n", target.name, message.empty() ? "read" : "refused: " + message);
}

int Run(int argc, char** argv) {
  Options options;
  bool list = false;
  CLI::App app("Feeds a reader mutated files until it fails.");
  app.add_option("target", options.target, "the reader; --list names them");
  app.add_option("--executions", options.executions, "inputs to try");
  app.add_option("--seed", options.seed, "the same seed gives the same inputs");
  app.add_option("--failures", options.failures, "the folder for an input that fails");
  app.add_option("--replay", options.replay, "run this input alone");
  app.add_flag("--list", list, "print the targets");
  CLI11_PARSE(app, argc, argv);
  if (list) {
    for (const FuzzTargetEntry& entry : FuzzTargets()) fmt::print("{}\n", entry.name);
    return 0;
  }
  const std::span<const FuzzTargetEntry> targets = FuzzTargets();
  const auto entry = std::find_if(
      targets.begin(), targets.end(),
      [&](const FuzzTargetEntry& candidate) { return candidate.name == options.target; });
  if (entry == targets.end()) {
    fmt::print(stderr, "fuzz: no target \"{}\"; --list names them\n", options.target);
    return 2;
  }
  // Files of inputs are written and read a million times: in memory, where there is such a folder.
  if (std::error_code none; fs::is_directory("/dev/shm", none)) ::setenv("TMPDIR", "/dev/shm", 0);
  const FuzzTarget target = entry->make();
  const fs::path failure =
      options.replay.empty()
          ? options.failures / fmt::format("fuzz-{}-{}.input", target.name, options.seed)
          : fs::path(options.replay);  // which it is already
  StartWatchdog(failure, fmt::format("{} {} --replay", argv[0], target.name));
  if (options.replay.empty())
    Fuzz(target, options);
  else
    Replay(target, options.replay);
  StopWatchdog();
  return 0;
}

}  // namespace
}  // namespace daq

int main(int argc, char** argv) { return daq::Run(argc, argv); }
