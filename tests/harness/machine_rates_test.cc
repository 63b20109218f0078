#include "harness/machine_rates.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/support/temporary_folder.h"

namespace daq {
namespace {

class MachineRatesTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::filesystem::path file_ = folder_.path() / "new" / "machine.json";
  ThreadPool pool_{1};
};

TEST_F(MachineRatesTest, WorkTakesTheSumOfAllKindsOfSeconds) {
  const MachineRates rates{.products = 10, .core_seconds = 2, .bytes = 5};
  const Work work = Work{.products = 30, .core_seconds = 1} +
                    2 * Work{.core_seconds = 0.5, .bytes = 10} + Bytes(5);
  EXPECT_EQ(rates.Seconds(work), 3 + 1 + 5);
}

TEST_F(MachineRatesTest, AreMeasuredOnceAndThenKept) {
  const MachineRates measured = KeptRates(file_, &pool_);
  EXPECT_GT(measured.products, 1e8);
  EXPECT_GT(measured.core_seconds, 0.01);  // no machine is a hundred times slower
  const MachineRates kept = KeptRates(file_, &pool_);
  EXPECT_EQ(kept.products, measured.products);
  EXPECT_EQ(kept.core_seconds, measured.core_seconds);
  EXPECT_GT(measured.bytes, 1e8);
  EXPECT_EQ(kept.bytes, measured.bytes);
  EXPECT_EQ(kept.date.size(), std::string("2026-11-28").size());
  EXPECT_EQ(kept.date, measured.date);
  EXPECT_EQ(kept.threads, 1);
}

// Threads that take turns on a processor do no more than one of them.
TEST_F(MachineRatesTest, AreOfNoMoreThreadsThanProcessors) {
  ThreadPool more(AvailableProcessors() + 1);
  EXPECT_EQ(KeptRates(file_, &more).threads, AvailableProcessors());
  ThreadPool all(AvailableProcessors());
  const MachineRates kept = KeptRates(file_, &all);
  EXPECT_EQ(KeptRates(file_, &more).products, kept.products);
  EXPECT_EQ(nlohmann::json::parse(ReadFile(file_)).size(), 1U);
}

TEST_F(MachineRatesTest, OfAnotherNumberOfThreadsAreTheirOwn) {
  const MachineRates one = KeptRates(file_, &pool_);
  if (AvailableProcessors() < 2) GTEST_SKIP() << "one processor";
  ThreadPool two(2);
  KeptRates(file_, &two);
  EXPECT_EQ(KeptRates(file_, &pool_).products, one.products);
  EXPECT_NE(ReadFile(file_).find("2 threads"), std::string::npos);
}

TEST_F(MachineRatesTest, AreMeasuredAnewWhereTheFileIsDamaged) {
  KeptRates(file_, &pool_);
  nlohmann::json wrong_types = nlohmann::json::parse(ReadFile(file_));
  wrong_types.begin().value() = {{"products", "fast"}, {"core_seconds", nullptr}, {"bytes", {}}};
  for (const std::string& text :
       {std::string("{"), std::string("[1, 2]"), std::string("null"), wrong_types.dump()}) {
    WriteFileAtomically(file_, text);
    const MachineRates measured = KeptRates(file_, &pool_);
    EXPECT_GT(measured.products, 1e8) << text;
    EXPECT_EQ(KeptRates(file_, &pool_).products, measured.products) << text;
  }
}

TEST_F(MachineRatesTest, AreGivenWhereNothingCanBeKept) {
  const std::filesystem::path below_a_file = folder_.path() / "file" / "machine.json";
  WriteFileAtomically(folder_.path() / "file", "");
  EXPECT_GT(KeptRates(below_a_file, &pool_).products, 1e8);
}

}  // namespace
}  // namespace daq
