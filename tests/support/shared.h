#pragma once
#include <gtest/gtest.h>

#include <filesystem>

namespace daq {

// A path below the folder `shared` beside the repository, which holds goldens and real texts on the
// project's own machines. DAQ_BENCH_SHARED names it where it lies elsewhere.
std::filesystem::path SharedPath(const std::filesystem::path& below);

}  // namespace daq

// Skips the test, saying why, where a shared file is absent.
#define DAQ_REQUIRE_SHARED(below)                         \
  if (!std::filesystem::exists(::daq::SharedPath(below))) \
  GTEST_SKIP() << "needs shared/" << (below) << ", which is not on this machine"
