#include "eval/hidden_states.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/error.h"

namespace daq {
namespace {

// A nameless file of `bytes` bytes whose space is reserved; returns its descriptor.
int MakeScratchFile(const std::filesystem::path& folder, std::uint64_t bytes) {
  std::filesystem::create_directories(folder);
  std::string name = (folder / "hidden-states-XXXXXX").string();
  const int file = ::mkstemp(name.data());
  if (file < 0)
    throw std::system_error(errno, std::generic_category(), fmt::format("{}: cannot create", name));
  ::unlink(name.c_str());
  const int error = ::posix_fallocate(file, 0, static_cast<off_t>(bytes));
  if (error != 0) {
    ::close(file);
    throw std::system_error(
        error, std::generic_category(),
        fmt::format("{}: cannot reserve {} bytes of scratch space", folder.string(), bytes));
  }
  return file;
}

}  // namespace

std::uint64_t HiddenStates::Bytes(Index windows, Index window_tokens, Index hidden_size) {
  return static_cast<std::uint64_t>(windows * window_tokens * hidden_size) * sizeof(float);
}

HiddenStates::HiddenStates(Index windows, Index window_tokens, Index hidden_size,
                           const std::filesystem::path& scratch_folder)
    : windows_(windows),
      window_tokens_(window_tokens),
      hidden_size_(hidden_size),
      in_file_(!scratch_folder.empty()) {
  const std::uint64_t bytes = Bytes(windows, window_tokens, hidden_size);
  DAQ_CHECK(bytes > 0, "states of at least one window");
  const int file = in_file_ ? MakeScratchFile(scratch_folder, bytes) : -1;
  const int flags = in_file_ ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, file, 0);
  const int error = errno;
  if (file >= 0) ::close(file);
  if (data == MAP_FAILED) {
    throw std::system_error(error, std::generic_category(),
                            fmt::format("cannot map {} bytes of hidden states", bytes));
  }
  data_ = static_cast<float*>(data);
}

HiddenStates::~HiddenStates() { ::munmap(data_, Bytes(windows_, window_tokens_, hidden_size_)); }

MatrixView HiddenStates::rows(Index first, Index count) {
  DAQ_CHECK(first >= 0 && count >= 0 && first + count <= windows_, "windows of these states");
  return Eigen::Map<MatrixF>(data_ + first * window_tokens_ * hidden_size_, count * window_tokens_,
                             hidden_size_);
}

void HiddenStates::Release(Index first, Index count) {
  if (!in_file_) return;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t begin = Bytes(first, window_tokens_, hidden_size_) / page * page;
  const std::uint64_t end = Bytes(first + count, window_tokens_, hidden_size_);
  // A shared mapping's dirty pages stay in the page cache and reach the file; only this process
  // lets go of them.
  ::madvise(reinterpret_cast<char*>(data_) + begin, end - begin, MADV_DONTNEED);
}

}  // namespace daq
