#pragma once
#include <chrono>
#include <string>

#include "harness/fetch.h"

namespace daq {

// Shows a download on standard error: on a terminal a line that rewrites itself, elsewhere a line
// every ten seconds.
class DownloadProgress {
 public:
  DownloadProgress();
  void operator()(const FetchProgress& progress);
  void Finish();

 private:
  bool terminal_;
  bool line_shown_ = false;
  std::chrono::steady_clock::time_point shown_;
};

}  // namespace daq
