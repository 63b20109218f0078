#include "base/regular_file.h"

#include <system_error>

#include "base/error.h"

namespace daq {

void RequireRegularFile(const std::filesystem::path& path) {
  std::error_code left_to_who_opens_it;
  const std::filesystem::file_status status = std::filesystem::status(path, left_to_who_opens_it);
  if (std::filesystem::is_directory(status))
    throw InputError({path.string()}, "this is a folder, expected a file");
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw InputError({path.string()},
                     "this is a pipe, a socket or a device, expected a regular file");
  }
}

}  // namespace daq
