#include "tests/fuzz/watchdog.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>

#ifdef __SANITIZE_ADDRESS__
extern "C" {
// Of AddressSanitizer, which asks before anything else runs. It ends the process at the limits, so
// that a reader's own catch cannot hide them, as it could hide a bad_alloc. The small quarantine
// keeps memory and caches for the readers.
const char* __asan_default_options();
const char* __asan_default_options() {
  return "max_allocation_size_mb=512:hard_rss_limit_mb=2048:allocator_may_return_null=0:"
         "quarantine_size_mb=16:malloc_context_size=8:detect_stack_use_after_return=0";
}
void __sanitizer_set_death_callback(void (*callback)());
}
#endif

namespace daq {
namespace {

constexpr int kMostSeconds = 5;

// Read by signal handlers, so everything is made before and nothing allocates there.
std::string failure_file_name;
std::string message;
std::string_view current_input;
std::atomic<std::uint64_t> current_execution = 0;
std::uint64_t execution_at_tick = ~std::uint64_t{0};
int ticks = 0;
bool is_written = false;

void WriteAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void WriteInput() {
  if (is_written) return;
  is_written = true;
  const int file = ::open(failure_file_name.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (file >= 0) {
    WriteAll(file, current_input);
    ::close(file);
  }
  WriteAll(STDERR_FILENO, message);
}

[[noreturn]] void End(std::string_view reason) {
  WriteAll(STDERR_FILENO, "fuzz: ");
  WriteAll(STDERR_FILENO, reason);
  WriteAll(STDERR_FILENO, "\n");
  WriteInput();
  ::_exit(1);
}

void OnSignal(int signal) {
  End(signal == SIGABRT ? "the program aborted" : "the program crashed");
}

// Once a second: a clock a second is cheaper than an alarm for every execution.
void OnTick(int /*signal*/) {
  const std::uint64_t now = current_execution.load(std::memory_order_relaxed);
  ticks = now == execution_at_tick ? ticks + 1 : 0;
  execution_at_tick = now;
  if (ticks >= kMostSeconds) End("an execution took more than 5 seconds");
}

void Handle(int signal, void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

void StartWatchdog(const std::filesystem::path& failure_file, const std::string& replay_command) {
  failure_file_name = failure_file.string();
  message = fmt::format("fuzz: the input is in {}\nfuzz: replay it with: {} {}\n",
                        failure_file_name, replay_command, failure_file_name);
  Handle(SIGABRT, OnSignal);
  Handle(SIGALRM, OnTick);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_set_death_callback(WriteInput);  // SIGSEGV and the like come here too
#else
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) Handle(signal, OnSignal);
  const rlim_t bytes = rlim_t{2} << 30U;
  const rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
  ::setrlimit(RLIMIT_AS, &limit);
#endif
  std::atexit(WriteInput);  // a library may end the process
  const itimerval second = {.it_interval = {.tv_sec = 1, .tv_usec = 0},
                            .it_value = {.tv_sec = 1, .tv_usec = 0}};
  ::setitimer(ITIMER_REAL, &second, nullptr);
}

void WatchInput(std::string_view input, std::uint64_t execution) {
  current_input = input;
  current_execution.store(execution, std::memory_order_relaxed);
}

void StopWatchdog() { is_written = true; }

void FailWith(std::string_view reason) { End(reason); }

}  // namespace daq
