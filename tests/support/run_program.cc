#include "tests/support/run_program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/file.h"
#include "tests/support/temporary_folder.h"

namespace daq {
namespace {

int CreateFile(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0) throw std::system_error(errno, std::generic_category(), file.string());
  return descriptor;
}

int ExitCode(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ProgramResult RunProgram(const std::vector<std::string>& arguments, int kill_after_ms, int signal) {
  const TemporaryFolder folder;
  const std::filesystem::path output = folder.path() / "output";
  const std::filesystem::path errors = folder.path() / "errors";
  std::vector<std::string> copies = arguments;
  std::vector<char*> pointers;
  for (std::string& argument : copies) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  // Before the fork: a child that is killed at once would leave none.
  const int output_descriptor = CreateFile(output);
  const int errors_descriptor = CreateFile(errors);
  const pid_t process = ::fork();
  if (process < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (process == 0) {
    if (::dup2(output_descriptor, STDOUT_FILENO) < 0 ||
        ::dup2(errors_descriptor, STDERR_FILENO) < 0) {
      ::_exit(126);
    }
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  ::close(output_descriptor);
  ::close(errors_descriptor);
  int status = 0;
  if (kill_after_ms >= 0) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kill_after_ms);
    pid_t ended = 0;
    while (ended == 0 && std::chrono::steady_clock::now() < end) {
      ended = ::waitpid(process, &status, WNOHANG);
      std::this_thread::yield();
    }
    if (ended == 0) {
      ::kill(process, signal);
      ::waitpid(process, &status, 0);
    }
  } else {
    ::waitpid(process, &status, 0);
  }
  return {.exit_code = ExitCode(status), .output = ReadFile(output), .errors = ReadFile(errors)};
}

}  // namespace daq
