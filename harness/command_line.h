#pragma once
#include <string>
#include <vector>

namespace daq {

// The program: reads the arguments (without the program's name), does what they say, and returns
// the exit code: 0 done, 1 a cell failed or could not be evaluated yet and the others went on, 2
// bad input or usage (of a plan: a run would be refused), 3 the machine refused (a full disk, a
// missing program), 130 interrupted. Results go to standard output, everything else to standard
// error.
int RunCommandLine(std::vector<std::string> arguments);

}  // namespace daq
