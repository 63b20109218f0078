#include "harness/command_line.h"

int main(int argc, char** argv) { return daq::RunCommandLine({argv + 1, argv + argc}); }
