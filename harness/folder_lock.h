#pragma once
#include <filesystem>

namespace daq {

// Holds a folder for one process: two runs of one experiment would remove each other's unfinished
// work. The system lets go of it when the process ends, however it ends.
class FolderLock {
 public:
  // Makes the folder if it is missing. Throws InputError if another process holds it.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int file_;
};

}  // namespace daq
