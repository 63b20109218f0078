#pragma once
#include <filesystem>
#include <string>

#include "eval/checkpoint.h"

namespace daq {

// Checkpoint::ContentHash, remembered in `<folder>/content-hashes.json` by the names and stamps
// (base/file.h) of the files, so that a rerun on a 130 GB model does not read it whole just to
// learn that it is the same.
std::string ContentHashOf(const Checkpoint& checkpoint, const std::filesystem::path& folder);

}  // namespace daq
