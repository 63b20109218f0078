#include <malloc.h>

#include "harness/command_line.h"

// glibc gives what is freed back to the system at once where it was as large as this threshold; by
// default the threshold grows with what is freed, up to 32 MiB, and a stage's memory would come on
// top of what the stage before has freed: the demo's peak would be a third higher.
constexpr int kGivenBackBytes = 1 << 20;

int main(int argc, char** argv) {
  mallopt(M_MMAP_THRESHOLD, kGivenBackBytes);
  return daq::RunCommandLine({argv + 1, argv + argc});
}
