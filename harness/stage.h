#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>

#include "base/thread_pool.h"
#include "harness/progress.h"

namespace daq {

// What both stages of a run share.
struct Stage {
  ThreadPool* pool = nullptr;
  Progress* progress = nullptr;
  std::filesystem::path work_folder;       // scratch files, quantised blocks, saved states
  std::chrono::seconds save_interval{60};  // between saves of a pass's hidden states
  std::uint64_t memory_budget_bytes = 0;   // what the process may hold in memory
};

}  // namespace daq
