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

// Made before the process starts: one that is killed at once leaves empty files, not none.
int OpenForWriting(const std::filesystem::path& file) {
  const int opened = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (opened < 0) throw std::system_error(errno, std::generic_category(), file.string());
  return opened;
}

int ExitCode(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ProgramResult RunProgram(const std::vector<std::string>& arguments, int kill_after_ms) {
  const TemporaryFolder folder;
  const std::filesystem::path output = folder.path() / "output";
  const std::filesystem::path errors = folder.path() / "errors";
  std::vector<std::string> copies = arguments;
  std::vector<char*> pointers;
  for (std::string& argument : copies) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const int output_file = OpenForWriting(output);
  const int errors_file = OpenForWriting(errors);
  const pid_t process = ::fork();
  if (process < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (process == 0) {
    if (::dup2(output_file, STDOUT_FILENO) < 0 || ::dup2(errors_file, STDERR_FILENO) < 0)
      ::_exit(126);
    ::execv(pointers[0], pointers.data());
    ::_exit(127);
  }
  ::close(output_file);
  ::close(errors_file);
  int status = 0;
  if (kill_after_ms >= 0) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kill_after_ms);
    pid_t ended = 0;
    while (ended == 0 && std::chrono::steady_clock::now() < end) {
      ended = ::waitpid(process, &status, WNOHANG);
      std::this_thread::yield();
    }
    if (ended == 0) {
      ::kill(process, SIGKILL);
      ::waitpid(process, &status, 0);
    }
  } else {
    ::waitpid(process, &status, 0);
  }
  return {.exit_code = ExitCode(status), .output = ReadFile(output), .errors = ReadFile(errors)};
}

}  // namespace daq
