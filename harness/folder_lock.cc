#include "harness/folder_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "base/error.h"

namespace daq {

FolderLock::FolderLock(const std::filesystem::path& folder, Kind kind) {
  std::filesystem::create_directories(folder);
  const std::filesystem::path path = folder / "lock";
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0)
    throw std::system_error(errno, std::generic_category(),
                            fmt::format("{}: cannot create", path.string()));
  const int operation = kind == Kind::kAlone ? LOCK_EX : LOCK_SH;
  if (::flock(file_, operation | LOCK_NB) == 0) return;
  const int reason = errno;
  if (reason != EWOULDBLOCK && kind == Kind::kShared) return;
  ::close(file_);
  if (reason == EWOULDBLOCK) {
    throw InputError({folder.string()},
                     kind == Kind::kAlone
                         ? "another daq-bench is running this experiment here: wait for it, or "
                           "choose another --results folder"
                         : "a daq-bench without --shard is running this experiment here: wait for "
                           "it, or choose another --results folder");
  }
  throw InputError({path.string()}, fmt::format("cannot lock: {}. Run with --shard 1/1 where the "
                                                "file system has no locks",
                                                std::strerror(reason)));
}

FolderLock::~FolderLock() { ::close(file_); }

}  // namespace daq
