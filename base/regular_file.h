#pragma once
#include <filesystem>

namespace daq {

// Throws InputError for what is there and no regular file: a folder, or a pipe, of which reading
// might wait for ever. What is not there is left to who opens it.
void RequireRegularFile(const std::filesystem::path& path);

}  // namespace daq
