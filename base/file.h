#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace daq {

// The whole file as bytes. Throws InputError (file name, system's reason) if it cannot be read.
std::string ReadFile(const std::filesystem::path& path);

// Where to write what shall be renamed to `path` when it is whole: beside it, of a name that no
// other process uses, on any machine that shares the folder.
std::filesystem::path TemporaryFor(const std::filesystem::path& path);

// Replaces path by `content` so that a reader, or a crash at any moment, sees the old or the new
// file, never a part: writes a temporary in the same folder, syncs it, renames it. Makes missing
// parent folders. Throws std::runtime_error if the disk refuses.
void WriteFileAtomically(const std::filesystem::path& path, std::string_view content);

// Removes a folder, if it is there, with all that it holds. Other processes may remove it, or write
// into it, at the same time: what they write meanwhile may stay.
void RemoveFolder(const std::filesystem::path& folder);

// What the system knows of a file: another stamp is another content, or at least a reason to look.
// A copy that keeps size and modification time (cp -p, rsync -t) changes the rest, which no program
// can set.
struct FileStamp {
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;  // of the content, since 1970
  std::int64_t changed_ns = 0;   // of the content, the name or the rights

  bool operator==(const FileStamp&) const = default;
};

// Throws InputError, with the system's reason, if there is no such file.
FileStamp StampOf(const std::filesystem::path& path);

// A file mapped read-only. The pages come from disk on first touch and belong to the page cache.
class MappedFile {
 public:
  // Throws InputError if the file is missing, not a regular file, or empty.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  // Throws InputError if the file is not as it was when it was mapped: what was read since may be
  // of either content.
  void ThrowIfChanged() const;

  // Takes the pages of `part`, a part of bytes(), out of this process's resident memory. They stay
  // readable.
  void Release(std::span<const std::byte> part) const;

 private:
  std::filesystem::path path_;
  FileStamp stamp_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace daq
