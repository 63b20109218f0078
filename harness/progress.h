#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace daq {

// Shows how far a run is: on a terminal one line that rewrites itself, with the time left;
// elsewhere a plain line every half minute. Work is counted in seconds of
// forecast, so that searches, blocks, heads and models of different sizes weigh what they cost.
// Writes to standard error; standard output is for results.
class Progress {
 public:
  // total_work: of everything that is to be done now, in the unit of Add.
  // `quiet` shows nothing (tests, machine-read output).
  Progress(double total_work, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Names what is being done: "evaluate rtn nf4 on gptq-wikitext2".
  void Start(std::string_view step);

  // Says that so much work was done; shows it if enough time went by.
  void Add(double work);

  // Says that work, finished before a restart, need not be done: it leaves the total.
  void Skip(double work);

  // Prints a line of its own (a step's result), above the progress line.
  void Note(std::string_view line);

  // As Note, but also where progress is not wanted: something went wrong.
  void Problem(std::string_view line);

 private:
  using Clock = std::chrono::steady_clock;
  void Show();
  void ClearLine();

  double total_;
  double done_ = 0;
  bool quiet_;
  bool terminal_;
  bool line_shown_ = false;
  std::string step_;
  Clock::time_point started_ = Clock::now();
  Clock::time_point shown_ = started_;
};

// The first `columns` characters of a line of ASCII, ".." at their end where some are left out: a
// line that a terminal wraps could not be rewritten.
std::string FitToColumns(std::string_view line, std::size_t columns);

// "45 s", "12 min", "3 h 05 min".
std::string FormatSeconds(double seconds);

// "512 B", "7.3 MiB", "12.5 GiB".
std::string FormatBytes(double bytes);

}  // namespace daq
