#include "tests/support/shared.h"

#include <cstdlib>

namespace daq {

std::filesystem::path SharedPath(const std::filesystem::path& below) {
  if (const char* folder = std::getenv("DAQ_BENCH_SHARED"))
    return std::filesystem::path(folder) / below;
  return std::filesystem::path(DAQ_SOURCE_DIR).parent_path() / "shared" / below;
}

}  // namespace daq
