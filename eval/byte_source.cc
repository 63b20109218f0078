#include "eval/byte_source.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/regular_file.h"

namespace daq {
namespace {

[[noreturn]] void ThrowErrno(const std::string& name) {
  throw InputError({name}, std::strerror(errno == 0 ? ENOMEM : errno));
}

// By the magic numbers of RFC 8878, sections 3.1.1 and 3.1.2; pzstd begins a file with a skippable
// frame.
bool StartsZstdFrame(std::span<const char> bytes) {
  const std::string_view text(bytes.data(), bytes.size());
  const bool skippable = text.size() >= 4 &&
                         (static_cast<unsigned char>(text[0]) & 0xf0U) == 0x50U &&
                         text.substr(1, 3) == "\x2a\x4d\x18";
  return skippable || text.starts_with("\x28\xb5\x2f\xfd");
}

// Plain and gzip files: zlib's gz functions read both, so that one path serves them.
class GzipSource : public ByteSource {
 public:
  GzipSource(const std::filesystem::path& path, bool gzip)
      : name_(path.string()), gzip_(gzip), file_(gzopen(path.c_str(), "rb")) {
    if (file_ == nullptr) ThrowErrno(name_);
    gzbuffer(file_, 1U << 17U);
  }
  ~GzipSource() override { gzclose_r(file_); }
  GzipSource(const GzipSource&) = delete;
  GzipSource& operator=(const GzipSource&) = delete;

  Piece Read(std::span<char> to) override {
    Piece piece;
    const int count = gzread(file_, to.data(), static_cast<unsigned>(to.size()));
    piece.bytes = static_cast<std::size_t>(count > 0 ? count : 0);
    int status = Z_OK;
    std::string_view reason = gzerror(file_, &status);
    if (reason.starts_with(name_ + ": ")) reason.remove_prefix(name_.size() + 2);
    if (status == Z_ERRNO) {
      piece.damage = std::strerror(errno);
    } else if (status == Z_BUF_ERROR) {
      // The file ends inside a gzip stream. gzread gives what it could unpack before.
      piece.damage = "the gzip data ends early: the file is truncated";
    } else if (count < 0 || (status != Z_OK && status != Z_STREAM_END)) {
      piece.damage = fmt::format("damaged gzip data: {}", reason);
    } else if (gzip_ && gzdirect(file_) != 0) {
      piece.wrong_kind = "expected gzip data, found something else";
    } else if (!gzip_ && gzdirect(file_) == 0) {
      piece.wrong_kind = "expected text, found gzip data: its name must end in .gz";
    } else if (!gzip_ && StartsZstdFrame(to.first(piece.bytes))) {
      piece.wrong_kind = "expected text, found zstd data: its name must end in .zst";
    }
    return piece;
  }

 private:
  std::string name_;
  bool gzip_;
  gzFile file_;
};

class ZstdSource : public ByteSource {
 public:
  explicit ZstdSource(const std::filesystem::path& path)
      : file_(std::fopen(path.c_str(), "rb")), stream_(ZSTD_createDStream()) {
    if (file_ == nullptr) {
      ZSTD_freeDStream(stream_);
      ThrowErrno(path.string());
    }
    DAQ_CHECK(stream_ != nullptr, "a zstd stream");
  }
  ~ZstdSource() override {
    ZSTD_freeDStream(stream_);
    std::fclose(file_);
  }
  ZstdSource(const ZstdSource&) = delete;
  ZstdSource& operator=(const ZstdSource&) = delete;

  Piece Read(std::span<char> to) override {
    ZSTD_outBuffer out = {.dst = to.data(), .size = to.size(), .pos = 0};
    Piece piece;
    while (out.pos == 0 && piece.damage.empty() && piece.wrong_kind.empty()) {
      if (in_.pos == in_.size && !holds_output_ && !Refill(&piece)) break;
      const std::size_t left = ZSTD_decompressStream(stream_, &out, &in_);
      inside_frame_ = left != 0;
      // A full `to` may have left output in the stream, which it gives without further input.
      holds_output_ = inside_frame_ && out.pos == out.size;
      if (ZSTD_isError(left) != 0)
        piece.damage = fmt::format("damaged zstd data: {}", ZSTD_getErrorName(left));
    }
    piece.bytes = out.pos;
    return piece;
  }

 private:
  // Reads packed bytes; false at the end of the file, which may come too early.
  bool Refill(Piece* piece) {
    in_ = {.src = packed_.data(),
           .size = std::fread(packed_.data(), 1, packed_.size(), file_),
           .pos = 0};
    if (std::ferror(file_) != 0) {
      piece->damage = std::strerror(errno);
      return false;
    }
    if (at_start_ && !StartsZstdFrame(std::span(packed_).first(in_.size))) {
      piece->wrong_kind = "expected zstd data, found something else";
      return false;
    }
    at_start_ = false;
    if (in_.size == 0 && inside_frame_)
      piece->damage = "the zstd data ends early: the file is truncated";
    return in_.size > 0;
  }

  std::FILE* file_;
  ZSTD_DStream* stream_;
  std::vector<char> packed_ = std::vector<char>(1U << 17U);
  ZSTD_inBuffer in_ = {.src = nullptr, .size = 0, .pos = 0};
  bool at_start_ = true;
  bool inside_frame_ = false;  // a frame has begun and is not complete
  bool holds_output_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> OpenBytes(const std::filesystem::path& path, Packing packing) {
  RequireRegularFile(path);
  errno = 0;
  if (packing == Packing::kZstd) return std::make_unique<ZstdSource>(path);
  return std::make_unique<GzipSource>(path, packing == Packing::kGzip);
}

}  // namespace daq
