#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>

#include "base/thread_pool.h"
#include "harness/machine_rates.h"
#include "harness/progress.h"

namespace daq {

// What both stages of a run share.
struct Stage {
  ThreadPool* pool = nullptr;
  Progress* progress = nullptr;  // in seconds of forecast
  MachineRates rates = {};
  std::filesystem::path work_folder;       // scratch files, quantised blocks, saved states
  std::chrono::seconds save_interval{60};  // between saves of a pass's hidden states
  std::uint64_t memory_budget_bytes = 0;   // what the process may hold in memory

  // Tells the progress that so much work is done, or need not be.
  void Done(const Work& work) const { progress->Add(rates.Seconds(work)); }
  void Skip(const Work& work) const { progress->Skip(rates.Seconds(work)); }
};

}  // namespace daq
