// The main function of every benchmark.
#include <benchmark/benchmark.h>

#include "base/blas.h"

int main(int argc, char** argv) {
  daq::SetUpBlas();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("blas", daq::BlasDescription());
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
