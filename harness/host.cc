#include "harness/host.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "base/blas.h"
#include "base/thread_pool.h"
#include "harness/version.h"

namespace daq {
namespace {

std::string ProcessorName() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

std::uint64_t PeakResidentBytes() {
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

std::uint64_t PhysicalMemoryBytes() {
  auto bytes = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
               static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  // A container's limit (cgroup 2). Without one the file is missing or says "max", and no number is
  // read.
  std::ifstream in("/sys/fs/cgroup/memory.max");
  if (std::uint64_t limit = 0; in >> limit) bytes = std::min(bytes, limit);
  return bytes;
}

nlohmann::ordered_json DescribeHost(int threads) {
  struct utsname system = {};
  uname(&system);
  return {{"processor", ProcessorName()},
          {"cores", AvailableProcessors()},
          {"threads", threads},
          {"memory_bytes", PhysicalMemoryBytes()},
          {"system", fmt::format("{} {} {}", system.sysname, system.release, system.machine)},
          {"compiler", kCompiler},
          {"blas", BlasDescription()}};
}

std::string Version() {
  const std::string_view revision = kGitRevision;
  return revision.empty() ? std::string(kVersion) : fmt::format("{} ({})", kVersion, revision);
}

}  // namespace daq
