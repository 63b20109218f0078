#include "harness/state_checkpoint.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <span>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"

namespace daq {
namespace {

// The file: a header as text, padded with spaces to kHeaderBytes, the states as native float32, and
// the SHA-256 of both in hexadecimal, since a power cut can leave a renamed file without its
// content. It never leaves its machine.
constexpr std::size_t kHeaderBytes = 256;
constexpr std::size_t kDigestBytes = 64;

std::string Header(const std::string& key, Index blocks_done, const HiddenStates& states) {
  std::string header = fmt::format("daq-bench states 1\n{}\n{} {} {} {}\n", key, blocks_done,
                                   states.windows(), states.window_tokens(), states.hidden_size());
  DAQ_CHECK(header.size() <= kHeaderBytes, "a header fits");
  header.resize(kHeaderBytes, ' ');
  return header;
}

std::span<std::byte> WindowBytes(HiddenStates* states, Index window) {
  MatrixView rows = states->rows(window, 1);
  return std::as_writable_bytes(std::span(rows.data(), static_cast<std::size_t>(rows.size())));
}

}  // namespace

StateCheckpoint::StateCheckpoint(std::filesystem::path file, std::string key,
                                 std::chrono::seconds interval)
    : file_(std::move(file)),
      key_(std::move(key)),
      interval_(interval),
      last_(std::chrono::steady_clock::now()) {}

std::optional<Index> StateCheckpoint::Load(HiddenStates* states) const {
  std::ifstream in(file_, std::ios::binary);
  std::string header(kHeaderBytes, '\0');
  if (!in || !in.read(header.data(), static_cast<std::streamsize>(header.size())))
    return std::nullopt;
  // The blocks done are the one thing the header says that is not known yet.
  const std::string start = fmt::format("daq-bench states 1\n{}\n", key_);
  if (!header.starts_with(start)) return std::nullopt;
  const Index blocks_done = std::strtol(header.c_str() + start.size(), nullptr, 10);
  if (header != Header(key_, blocks_done, *states)) return std::nullopt;
  const std::uint64_t bytes =
      HiddenStates::Bytes(states->windows(), states->window_tokens(), states->hidden_size());
  if (std::filesystem::file_size(file_) != kHeaderBytes + bytes + kDigestBytes) return std::nullopt;
  Sha256 hash;
  hash.Update(header);
  for (Index window = 0; window < states->windows(); ++window) {
    const std::span<std::byte> part = WindowBytes(states, window);
    if (!in.read(reinterpret_cast<char*>(part.data()), static_cast<std::streamsize>(part.size())))
      return std::nullopt;
    hash.Update(part);
    states->Release(window, 1);
  }
  std::string digest(kDigestBytes, '\0');
  if (!in.read(digest.data(), static_cast<std::streamsize>(digest.size())) ||
      digest != hash.HexDigest()) {
    return std::nullopt;
  }
  return blocks_done;
}

void StateCheckpoint::SaveIfDue(Index blocks_done, HiddenStates* states) {
  if (std::chrono::steady_clock::now() - last_ >= interval_) Save(blocks_done, states);
}

void StateCheckpoint::Save(Index blocks_done, HiddenStates* states) {
  std::filesystem::create_directories(file_.parent_path());
  const std::filesystem::path temporary = TemporaryFor(file_);
  {
    std::ofstream out(temporary, std::ios::binary | std::ios::trunc);
    Sha256 hash;
    const std::string header = Header(key_, blocks_done, *states);
    hash.Update(header);
    out << header;
    for (Index window = 0; window < states->windows(); ++window) {
      const std::span<const std::byte> part = WindowBytes(states, window);
      hash.Update(part);
      out.write(reinterpret_cast<const char*>(part.data()),
                static_cast<std::streamsize>(part.size()));
      states->Release(window, 1);
    }
    out << hash.HexDigest();
    out.close();
    if (!out) {
      const int reason = errno;
      std::filesystem::remove(temporary);
      throw std::system_error(reason, std::generic_category(),
                              fmt::format("{}: cannot write", temporary.string()));
    }
  }
  std::filesystem::rename(temporary, file_);
  last_ = std::chrono::steady_clock::now();
}

void StateCheckpoint::Remove() const { std::filesystem::remove(file_); }

}  // namespace daq
