#include "harness/download_progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "harness/progress.h"

namespace daq {

DownloadProgress::DownloadProgress() : terminal_(::isatty(STDERR_FILENO) != 0) {}

void DownloadProgress::operator()(const FetchProgress& progress) {
  const auto pause = terminal_ ? std::chrono::milliseconds(200) : std::chrono::seconds(10);
  if (std::chrono::steady_clock::now() - shown_ < pause) return;
  shown_ = std::chrono::steady_clock::now();
  const std::string total =
      progress.bytes_total > 0
          ? fmt::format(" of {} ({:.0f} %)", FormatBytes(static_cast<double>(progress.bytes_total)),
                        100.0 * static_cast<double>(progress.bytes_done) /
                            static_cast<double>(progress.bytes_total))
          : std::string();
  const std::string line = fmt::format(
      "{}: {}{}", progress.file, FormatBytes(static_cast<double>(progress.bytes_done)), total);
  if (terminal_) {
    fmt::print(stderr, "\r\x1b[K{}", line);
    line_shown_ = true;
  } else {
    fmt::print(stderr, "{}\n", line);
  }
  std::fflush(stderr);
}

void DownloadProgress::Finish() {
  if (line_shown_) fmt::print(stderr, "\r\x1b[K");
  line_shown_ = false;
}

}  // namespace daq
