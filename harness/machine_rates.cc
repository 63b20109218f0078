#include "harness/machine_rates.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ctime>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/float_product.h"
#include "base/user_folders.h"
#include "eval/json_file.h"
#include "harness/host.h"
#include "methods/daq.h"
#include "methods/input_factor.h"

namespace daq {
namespace {

// Of a measurement: long enough for the clock, short enough to fall between others' work.
constexpr double kSliceSeconds = 0.1;
constexpr int kSlices = 5;

// Of one channel of MeasureSearches by one thread of docs/performance.md's AVX-512 machine: 0.26 ms
// there, before the search became 0.87 times as long (measured on the AVX2 machine).
constexpr double kReferenceSeconds = 0.87 * 0.26e-3;

// How often `run` can be called in a second: in the best slice, because a rate that is kept should
// not remember what else ran just then.
double CallsPerSecond(const std::function<void()>& run) {
  run();  // pages, kernels and threads come into being
  double best = 0;
  for (int slice = 0; slice < kSlices; ++slice) {
    const auto started = std::chrono::steady_clock::now();
    double calls = 0;
    double seconds = 0;
    while (seconds < kSliceSeconds) {
      run();
      ++calls;
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    }
    best = std::max(best, calls / seconds);
  }
  return best;
}

double MeasureProducts(ThreadPool* pool) {
  constexpr Index kSize = 512;
  const Index products = Index{4} * pool->threads();
  const MatrixF a = MatrixF::Constant(kSize, kSize, 1.0F);
  const MatrixF b = MatrixF::Constant(kSize, kSize, 0.5F);
  std::vector<MatrixF> c(static_cast<std::size_t>(pool->threads()), MatrixF(kSize, kSize));
  const double calls = CallsPerSecond([&] {
    pool->ParallelFor(products, [&](Index, int worker) {
      MultiplyTransposed(a, b, c[static_cast<std::size_t>(worker)]);
    });
  });
  return 2.0 * static_cast<double>(kSize * kSize * kSize * products) * calls;
}

float Wave(Index i) { return std::sin(static_cast<float>(i * i % 1009)); }

// Channels of 576 inputs, 512 tokens, NF4: bell-shaped weights, inputs of which neighbours are
// alike.
double MeasureSearches(ThreadPool* pool) {
  const Index channels = Index{8} * pool->threads();
  const MatrixF weight = MatrixF::NullaryExpr(channels, 576, [](Index row, Index column) {
    return 0.02F * Wave(column + 577 * row) * Wave(7 * column + row);
  });
  const MatrixF inputs = MatrixF::NullaryExpr(512, weight.cols(), [](Index row, Index column) {
    return Wave(row * 31 + column / 4) + 0.5F * Wave(row * 17 + column * 13);
  });
  const Format format{.codebook = *FindCodebook("nf4", false), .symmetric = false};
  const LayerStatistics statistics(inputs, pool);
  const LayerContext layer{.name = "machine rates", .statistics = &statistics, .pool = pool};
  const DaqOptions options = ReadDaqOptions(DefaultSettings(DaqSettings()));
  const GroupPieces pieces(weight, format, layer);
  const GroupFactors factors(statistics, weight.cols(), {}, pieces.length(), pool);
  return static_cast<double>(channels) *
         CallsPerSecond([&] { SolveDaq(pieces, format, layer, options, &factors); });
}

// What a search's sums of 4096 inputs take: 16 MiB read and as many written, by each thread.
double MeasureMemory(ThreadPool* pool) {
  constexpr Index kNumbers = Index{1} << 21;
  const std::vector<VectorD> from(static_cast<std::size_t>(pool->threads()),
                                  VectorD::Ones(kNumbers));
  std::vector<VectorD> to(from.size(), VectorD(kNumbers));
  const double calls = CallsPerSecond([&] {
    pool->ParallelFor(pool->threads(), [&](Index thread, int) {
      const auto i = static_cast<std::size_t>(thread);
      to[i] = from[i].array() + 1.0;
    });
  });
  return calls * sizeof(double) * 2 * static_cast<double>(kNumbers * pool->threads());
}

nlohmann::json ReadKept(const std::filesystem::path& file) {
  try {
    nlohmann::json kept = ReadJsonFile(file);
    if (kept.is_object()) return kept;
  } catch (const std::exception&) {  // not there, or damaged
  }
  return nlohmann::json::object();
}

// 0, which is no rate, for anything but a number.
double RateOf(const nlohmann::json& rates, const char* name) {
  const auto found = rates.find(name);
  return found != rates.end() && found->is_number() ? found->get<double>() : 0;
}

// Empty for anything but a text.
std::string DateOf(const nlohmann::json& rates) {
  const auto found = rates.find("date");
  return found != rates.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

MachineRates MeasureRates(ThreadPool* pool) {
  return {.products = MeasureProducts(pool),
          .core_seconds = kReferenceSeconds * MeasureSearches(pool),
          .bytes = MeasureMemory(pool),
          .threads = pool->threads(),
          .date = fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr)))};
}

MachineRates KeptRates(const std::filesystem::path& file, ThreadPool* pool) {
  if (pool->threads() > AvailableProcessors()) {
    ThreadPool all(AvailableProcessors());
    return KeptRates(file, &all);
  }
  const nlohmann::ordered_json host = DescribeHost(pool->threads());
  const std::string key = fmt::format("{}, {}, {} threads", host.at("processor").get<std::string>(),
                                      host.at("blas").get<std::string>(), pool->threads());
  nlohmann::json kept = ReadKept(file);
  if (const auto found = kept.find(key); found != kept.end() && found->is_object()) {
    const MachineRates rates{.products = RateOf(*found, "products"),
                             .core_seconds = RateOf(*found, "core_seconds"),
                             .bytes = RateOf(*found, "bytes"),
                             .threads = pool->threads(),
                             .date = DateOf(*found)};
    if (rates.products > 0 && rates.core_seconds > 0 && rates.bytes > 0 && !rates.date.empty())
      return rates;
  }
  const MachineRates rates = MeasureRates(pool);
  kept[key] = {{"products", rates.products},
               {"core_seconds", rates.core_seconds},
               {"bytes", rates.bytes},
               {"date", rates.date}};
  try {
    std::filesystem::create_directories(file.parent_path());
    WriteFileAtomically(file, kept.dump(1) + "\n");
  } catch (const std::exception&) {  // measured anew next time
  }
  return rates;
}

std::filesystem::path RatesFile() { return CacheFolder() / "daq-bench" / "machine.json"; }

}  // namespace daq
