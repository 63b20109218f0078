#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"

namespace daq {
namespace {

TEST(ThreadPoolTest, CallsEachItemOnceWhateverTheThreads) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (const Index count : {0, 1, 3, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
      pool.ParallelFor(count, [&](Index item, int worker) {
        EXPECT_GE(worker, 0);
        EXPECT_LT(worker, threads);
        ++calls[static_cast<std::size_t>(item)];
      });
      for (const auto& call : calls) EXPECT_EQ(call.load(), 1);
    }
  }
}

TEST(ThreadPoolTest, ThrowsTheLowestFailingItemAndWorksAfterwards) {
  ThreadPool pool(4);
  for (int repeat = 0; repeat < 50; ++repeat) {
    try {
      pool.ParallelFor(100, [](Index item, int) {
        if (item % 10 == 7) throw std::runtime_error(std::to_string(item));
      });
      FAIL() << "no exception";
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "7");
    }
  }
  std::atomic<Index> sum = 0;
  pool.ParallelFor(10, [&](Index item, int) { sum += item; });
  EXPECT_EQ(sum.load(), 45);
}

TEST(ThreadPoolTest, StopsWhenTheUserAsks) {
  ThreadPool pool(2);
  std::atomic<int> calls = 0;
  EXPECT_THROW(pool.ParallelFor(1000,
                                [&](Index item, int) {
                                  ++calls;
                                  if (item == 3) RequestInterrupt(true);
                                }),
               Interrupted);
  RequestInterrupt(false);
  EXPECT_LT(calls.load(), 1000);
}

}  // namespace
}  // namespace daq
