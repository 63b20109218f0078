#include "tests/fuzz/scratch_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace daq {

ScratchFile::ScratchFile(std::filesystem::path path) : path_(std::move(path)) {
  std::filesystem::create_directories(path_.parent_path());
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file_ < 0) throw std::system_error(errno, std::generic_category(), path_.string());
}

ScratchFile::~ScratchFile() { ::close(file_); }

void ScratchFile::Write(std::string_view content) const {
  const bool written =
      ::ftruncate(file_, 0) == 0 &&
      ::pwrite(file_, content.data(), content.size(), 0) == static_cast<ssize_t>(content.size());
  DAQ_CHECK(written, "room for a small file");
}

}  // namespace daq
