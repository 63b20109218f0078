#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

namespace daq {

// A program that runs beside a test and ends with it: the destructor closes its standard input and
// waits for it.
class ChildProcess {
 public:
  // arguments[0] is the program, looked up in PATH. Throws std::system_error if it cannot start.
  explicit ChildProcess(const std::vector<std::string>& arguments);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The next line of its standard output without the line feed; empty at the end.
  std::string ReadLine();

 private:
  pid_t process_ = -1;
  int input_ = -1;   // what the test writes to
  int output_ = -1;  // what the test reads from
};

}  // namespace daq
