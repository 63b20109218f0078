#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace daq {

// Unpacks the member `member` (its full name in the archive) of the zip file `archive` to the file
// `to`, which the caller names: nothing of the archive decides where bytes go. Replaces `to`. Stops
// after `max_bytes`, so that a crafted archive cannot fill the disk. Throws InputError for a file
// that is no zip, a missing or damaged member, or more than max_bytes; std::runtime_error if the
// disk fails; Interrupted after Ctrl-C.
void UnpackZipMember(const std::filesystem::path& archive, const std::string& member,
                     const std::filesystem::path& to, std::int64_t max_bytes);

}  // namespace daq
