#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"

namespace daq {

struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable work_ready;
  std::condition_variable work_done;
  std::vector<std::thread> workers;
  const std::function<void(Index, int)>* body = nullptr;
  Index count = 0;
  std::atomic<Index> next{0};
  int running = 0;      // workers still inside the current loop
  long generation = 0;  // counts loops, so that a worker enters each one once
  bool stopping = false;
  Index failed_item = std::numeric_limits<Index>::max();
  std::exception_ptr failure;

  void RunItems(int worker) {
    for (Index item = next.fetch_add(1); item < count; item = next.fetch_add(1)) {
      try {
        ThrowIfInterrupted();
        (*body)(item, worker);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (item < failed_item) {
          failed_item = item;
          failure = std::current_exception();
        }
        next.store(count);
      }
    }
  }

  void WorkerLoop(int worker) {
    long seen = 0;
    std::unique_lock lock(mutex);
    while (true) {
      work_ready.wait(lock, [&] { return stopping || generation != seen; });
      if (stopping) return;
      seen = generation;
      lock.unlock();
      RunItems(worker);
      lock.lock();
      if (--running == 0) work_done.notify_one();
    }
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  DAQ_CHECK(threads >= 1, "a pool has at least the calling thread");
  for (int worker = 1; worker < threads; ++worker) {
    state_->workers.emplace_back([state = state_.get(), worker] { state->WorkerLoop(worker); });
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->work_ready.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return static_cast<int>(state_->workers.size()) + 1; }

void ThreadPool::ParallelFor(Index count, const std::function<void(Index, int)>& body) {
  State& state = *state_;
  {
    const std::lock_guard lock(state.mutex);
    DAQ_CHECK(state.body == nullptr, "ParallelFor is not reentrant");
    state.body = &body;
    state.count = count;
    state.next.store(0);
    state.running = static_cast<int>(state.workers.size());
    state.failed_item = std::numeric_limits<Index>::max();
    state.failure = nullptr;
    ++state.generation;
  }
  state.work_ready.notify_all();
  state.RunItems(0);
  std::exception_ptr failure;
  {
    std::unique_lock lock(state.mutex);
    state.work_done.wait(lock, [&] { return state.running == 0; });
    state.body = nullptr;
    failure = std::exchange(state.failure, nullptr);
  }
  if (failure) std::rethrow_exception(failure);
}

int AvailableProcessors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace daq
