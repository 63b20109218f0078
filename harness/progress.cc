#include "harness/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace daq {
namespace {

// The terminal's width as it is now (a user may resize it); 80 where it does not say.
std::size_t TerminalColumns() {
  struct winsize size = {};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

Progress::Progress(double total_work, bool quiet)
    : total_(total_work), quiet_(quiet), terminal_(::isatty(STDERR_FILENO) != 0) {}

Progress::~Progress() { ClearLine(); }

void Progress::Start(std::string_view step) {
  step_ = step;
  // On a terminal the step's line comes at once; elsewhere steps may be far shorter than the pause.
  if (terminal_) shown_ = {};
  Add(0);
}

void Progress::Add(double work) {
  done_ += work;
  const auto pause = terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(30);
  if (Clock::now() - shown_ < pause) return;
  shown_ = Clock::now();
  Show();
}

void Progress::Skip(double work) { total_ -= work; }

void Progress::Note(std::string_view line) {
  if (!quiet_) Problem(line);
}

void Progress::Problem(std::string_view line) {
  ClearLine();
  fmt::print(stderr, "{}\n", line);
}

void Progress::Show() {
  if (quiet_ || total_ <= 0) return;
  const double share = std::clamp(done_ / total_, 0.0, 1.0);
  const double elapsed = std::chrono::duration<double>(Clock::now() - started_).count();
  // No forecast from the first moments: it would only be noise.
  const std::string left =
      share > 0.005 && elapsed > 1
          ? fmt::format(", {} left", FormatSeconds(elapsed * (1 - share) / share))
          : std::string();
  const std::string line = fmt::format("{:5.1f} %{}  {}", 100 * share, left, step_);
  if (terminal_) {
    // One column stays free: some terminals wrap when the last one is written.
    fmt::print(stderr, "\r\x1b[K{}", FitToColumns(line, TerminalColumns() - 1));
    std::fflush(stderr);
    line_shown_ = true;
  } else {
    fmt::print(stderr, "{}\n", line);
  }
}

void Progress::ClearLine() {
  if (!line_shown_) return;
  fmt::print(stderr, "\r\x1b[K");
  std::fflush(stderr);
  line_shown_ = false;
}

std::string FitToColumns(std::string_view line, std::size_t columns) {
  if (line.size() <= columns) return std::string(line);
  if (columns < 2) return std::string(line.substr(0, columns));
  return std::string(line.substr(0, columns - 2)) + "..";
}

std::string FormatSeconds(double seconds) {
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  if (seconds < 120) return fmt::format("{:.0f} s", seconds);
  const auto minutes = static_cast<long>(std::lround(seconds / 60));
  if (minutes < 120) return fmt::format("{} min", minutes);
  return fmt::format("{} h {:02} min", minutes / 60, minutes % 60);
}

std::string FormatBytes(double bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

}  // namespace daq
