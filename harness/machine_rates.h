#pragma once
#include <filesystem>
#include <string>

#include "base/thread_pool.h"
#include "base/work.h"

namespace daq {

// How fast this machine is at the kinds of Work, all threads together.
struct MachineRates {
  double products = 1;      // operations a second
  double core_seconds = 1;  // of docs/performance.md's AVX-512 machine, a second
  double bytes = 1e10;      // a second
  int threads = 0;          // that were measured
  std::string date = {};    // "2026-11-28", UTC

  double Seconds(const Work& work) const {
    return work.products / products + work.core_seconds / core_seconds + work.bytes / bytes;
  }
};

// Multiplies matrices, runs DAQ's search on a layer made for it, and adds to long rows of numbers,
// for about two seconds.
MachineRates MeasureRates(ThreadPool* pool);

// The rates kept in `file` for this processor, BLAS and number of threads (all processors, where
// the pool has more threads: these only take turns), so that forecasts do not change with what else
// runs just now; measured, and kept, where there are none. A file that is damaged is written anew;
// one that cannot be written keeps nothing.
MachineRates KeptRates(const std::filesystem::path& file, ThreadPool* pool);

// Where they are kept: $XDG_CACHE_HOME/daq-bench/machine.json, or under ~/.cache.
std::filesystem::path RatesFile();

}  // namespace daq
