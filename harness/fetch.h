#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/datasets.h"

namespace daq {

struct FetchProgress {
  std::string file;              // the name of the file or archive that is on its way
  std::int64_t bytes_done = 0;   // with what an earlier run brought
  std::int64_t bytes_total = 0;  // 0: not known
};
using FetchCallback = std::function<void(const FetchProgress&)>;

struct FetchOptions {
  std::optional<std::string> file;  // only this file of the dataset
  int connect_timeout_seconds = 30;
  int stall_timeout_seconds =
      60;            // gives up a connection that brings less than a byte a second for so long
  int attempts = 5;  // a broken connection is taken up again so often, if it brought anything
};

// What became of one file.
struct FetchedFile {
  std::filesystem::path path;
  std::string sha256;          // of the file
  bool already_there = false;  // with the right hash: nothing was fetched
  bool published = false;  // the hash equals the table's; false: the table has none, it was written
                           // to `path`.sha256 and the file is held to that from now on
};

// Brings the files of a dataset into `folder`, each to its path there, and checks size and hash.
// - A file that is there with the right hash is left alone; one with a wrong hash is never touched:
// InputError.
// - Downloads go to <path>.part, are checked, then renamed. After a broken connection, an interrupt
// or a crash the
//   next call goes on where the part ends (HTTP range), or at the start if the server ignores
//   ranges. A part is taken up only where the table has a hash to check the whole by.
// - What came with a wrong size or hash is kept as <path>.bad, and InputError says what was
// expected and found.
// - Members of a zip are unpacked, their own hashes checked, and the zip removed.
// `progress` is called now and then, from this thread, and may throw: that ends the transfer, too.
// Throws InputError for an unknown dataset or file, std::runtime_error with the address and the
// reason if the network or the disk fails or another process fetches the same file, Interrupted
// after Ctrl-C.
std::vector<FetchedFile> FetchDataset(const DatasetTable& table, std::string_view name,
                                      const std::filesystem::path& folder,
                                      const FetchCallback& progress,
                                      const FetchOptions& options = {});

}  // namespace daq
