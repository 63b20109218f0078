#pragma once
#include <functional>
#include <memory>

#include "base/matrix.h"

namespace daq {

// A fixed set of threads that share out independent items of work.
//
// Written here rather than taken from OpenMP or TBB because the project's promises need all three
// of: an exception leaves the loop, ThreadSanitizer understands it, and items are claimed one by
// one while results never depend on who claimed them.
class ThreadPool {
 public:
  // threads >= 1; the calling thread is one of them.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls body(item, worker) once for each item in [0, count), worker in [0, threads()). Returns
  // when all are done. Two calls with the same worker never overlap, so worker may index scratch
  // space. If a body throws, or the user asks to stop (base/interrupt.h), items not yet started are
  // left out and the exception of the lowest item, or Interrupted, is thrown here. Not reentrant: a
  // body must not call ParallelFor.
  void ParallelFor(Index count, const std::function<void(Index item, int worker)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The number of processors this process may run on, >= 1 (respects affinity masks).
int AvailableProcessors();

}  // namespace daq
