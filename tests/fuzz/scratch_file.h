#pragma once
#include <filesystem>
#include <string_view>

namespace daq {

// A file that is written again for every input. Kept open, as that is half of the time it takes.
class ScratchFile {
 public:
  // Makes missing parent folders.
  explicit ScratchFile(std::filesystem::path path);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // The file is `content` then. It must not be mapped by anyone.
  void Write(std::string_view content) const;

 private:
  std::filesystem::path path_;
  int file_;
};

}  // namespace daq
