#pragma once
#include <filesystem>

namespace daq {

// Holds a folder for one run, or for the shards of one: two whole runs of an experiment would
// remove each other's unfinished work. The system lets go of it when the process ends, however it
// ends.
class FolderLock {
 public:
  enum class Kind {
    kAlone,
    // With other shards, on any machine. They need no lock among themselves, since what they write
    // is named by content and renamed into place; it only keeps whole runs away, where the file
    // system has locks.
    kShared
  };

  // Makes the folder if it is missing. Throws InputError if another process holds it.
  FolderLock(const std::filesystem::path& folder, Kind kind);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int file_;
};

}  // namespace daq
