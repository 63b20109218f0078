#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/regular_file.h"

namespace daq {
namespace {

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

std::int64_t Nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

FileStamp StampOf(const struct stat& status) {
  return {.inode = status.st_ino,
          .size = status.st_size,
          .modified_ns = Nanoseconds(status.st_mtim),
          .changed_ns = Nanoseconds(status.st_ctim)};
}

[[noreturn]] void ThrowDiskError(const std::filesystem::path& path, std::string_view action) {
  throw std::system_error(errno, std::generic_category(),
                          fmt::format("{}: {}", path.string(), action));
}

}  // namespace

std::string ReadFile(const std::filesystem::path& path) {
  RequireRegularFile(path);
  std::ifstream in(path, std::ios::binary);
  if (!in) throw InputError({path.string()}, std::strerror(errno));
  std::string content(std::istreambuf_iterator<char>(in), {});
  if (in.bad()) throw InputError({path.string()}, "reading failed");
  return content;
}

std::filesystem::path TemporaryFor(const std::filesystem::path& path) {
  std::array<char, 256> machine = {};
  ::gethostname(machine.data(), machine.size() - 1);
  return fmt::format("{}.{}.{}.tmp", path.string(), machine.data(), ::getpid());
}

void WriteFileAtomically(const std::filesystem::path& path, std::string_view content) {
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  const std::filesystem::path temporary = TemporaryFor(path);
  {
    const Descriptor file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) ThrowDiskError(temporary, "cannot create");
    std::size_t written = 0;
    while (written < content.size()) {
      const ssize_t step = ::write(file.get(), content.data() + written, content.size() - written);
      if (step < 0 && errno == EINTR) continue;
      if (step < 0) {
        const int reason = errno;
        ::unlink(temporary.c_str());
        errno = reason;
        ThrowDiskError(temporary, "cannot write");
      }
      written += static_cast<std::size_t>(step);
    }
    if (::fsync(file.get()) != 0) ThrowDiskError(temporary, "cannot sync");
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    ThrowDiskError(path, "cannot rename into place");
}

void RemoveFolder(const std::filesystem::path& folder) {
  constexpr int kTries = 10;  // one is enough where nobody else is at it
  for (int i = 0; i < kTries && std::filesystem::exists(folder); ++i) {
    std::error_code others_were_faster;
    std::filesystem::remove_all(folder, others_were_faster);
  }
}

FileStamp StampOf(const std::filesystem::path& path) {
  struct stat status = {};
  if (::stat(path.c_str(), &status) != 0) throw InputError({path.string()}, std::strerror(errno));
  return StampOf(status);
}

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw InputError({path.string()}, std::strerror(errno));
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0) throw InputError({path.string()}, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw InputError({path.string()}, "expected a regular file");
  if (status.st_size == 0) throw InputError({path.string()}, "the file is empty");
  stamp_ = StampOf(status);
  size_ = static_cast<std::size_t>(status.st_size);
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) throw InputError({path.string()}, std::strerror(errno));
  data_ = static_cast<const std::byte*>(data);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      stamp_(other.stamp_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(stamp_, other.stamp_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::ThrowIfChanged() const {
  if (StampOf(path_) != stamp_)
    throw InputError({path_.string()}, "the file was changed while it was in use: run again");
}

void MappedFile::Release(std::span<const std::byte> part) const {
  DAQ_CHECK(part.data() >= data_ && part.data() + part.size() <= data_ + size_,
            "a part of this file");
  // Only whole pages: those at the two ends may be shared with a neighbour that is in use.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::uintptr_t lead = (page - reinterpret_cast<std::uintptr_t>(part.data()) % page) % page;
  if (lead >= part.size()) return;
  const std::size_t whole = (part.size() - lead) / page * page;
  if (whole > 0) ::madvise(const_cast<std::byte*>(part.data()) + lead, whole, MADV_DONTNEED);
}

}  // namespace daq
