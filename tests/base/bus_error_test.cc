#include "base/bus_error.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "tests/support/temporary_folder.h"

namespace daq {
namespace {

TEST(BusErrorTest, AFileThatIsCutShortInUseEndsTheProcessWithAWord) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "weights";
  WriteFileAtomically(file, std::string(1 << 20, 'w'));
  EXPECT_EXIT(
      {
        ExplainBusErrors(3);
        const MappedFile mapped(file);
        std::filesystem::resize_file(file, 16);
        // Not 0: the page is gone.
        std::_Exit(static_cast<int>(mapped.bytes()[(1 << 20) - 1]));
      },
      testing::ExitedWithCode(3),
      "daq-bench: a file was cut short while it was in use, or its disk failed or is full");
}

}  // namespace
}  // namespace daq
