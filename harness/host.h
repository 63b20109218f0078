#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>

namespace daq {

// The most memory this process has had resident so far, in bytes (getrusage).
std::uint64_t PeakResidentBytes();

// The machine's memory, or the control group's limit where that is lower, in bytes.
std::uint64_t PhysicalMemoryBytes();

// What computed a result: processor, cores, memory, system, compiler, BLAS, threads used.
nlohmann::ordered_json DescribeHost(int threads);

// "0.1.0 (3f2a91c)", with "-dirty" after the hash of a changed tree; "0.1.0" outside a git
// checkout.
std::string Version();

}  // namespace daq
