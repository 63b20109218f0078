// Windows of token ids that were made before.
#include "eval/id_windows.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/support/temporary_folder.h"

namespace daq {

FuzzTarget IdWindowsTarget();

namespace {

void ReadWindows(std::string_view bytes) {
  static const TemporaryFolder folder;
  static const ScratchFile scratch(folder.path() / "ids.json");
  scratch.Write(bytes);
  const std::optional<Index> limit = bytes.size() % 2 == 0 ? std::nullopt : std::optional<Index>(2);
  ReadIdWindows(scratch.path(), limit, 64);
}

}  // namespace

FuzzTarget IdWindowsTarget() {
  return {.name = "id_windows",
          .run = ReadWindows,
          .seeds = {R"({"windows": [[1, 2, 3], [4, 5, 63], [0, 0, 0]]})",
                    "{\n\"windows\":\n[\n[10,20]\n]\n}\n"},
          .words = {"\"windows\":", "[1,2]", ",[", "64", "-1", "1.0"}};
}

}  // namespace daq
