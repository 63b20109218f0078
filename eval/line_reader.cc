#include "eval/line_reader.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "base/error.h"

namespace daq {

// zlib's gz functions read plain files too, so that one path serves both.
struct LineReader::State {
  std::string name;
  bool gzip = false;
  gzFile file = nullptr;
  std::string pending;  // read, and not yet given out from `begin` on
  std::size_t begin = 0;
  int line_number = 0;
  bool ended = false;

  // Reads one more piece into `pending`; sets `ended` when there is none.
  void Fill() {
    constexpr unsigned kPiece = 1U << 18U;
    pending.erase(0, begin);
    begin = 0;
    const std::size_t size = pending.size();
    pending.resize(size + kPiece);
    const int count = gzread(file, pending.data() + size, kPiece);
    pending.resize(size + static_cast<std::size_t>(count > 0 ? count : 0));
    int status = Z_OK;
    std::string_view reason = gzerror(file, &status);
    if (reason.starts_with(name + ": ")) reason.remove_prefix(name.size() + 2);
    if (status == Z_ERRNO) Throw(std::strerror(errno));
    // Z_BUF_ERROR: the file ends inside a gzip stream. gzread gives what it could unpack before.
    if (status == Z_BUF_ERROR) Throw("the gzip data ends early: the file is truncated");
    if (count < 0 || (status != Z_OK && status != Z_STREAM_END))
      Throw(fmt::format("damaged gzip data: {}", reason));
    if (gzip && gzdirect(file) != 0)
      throw InputError({name}, "expected gzip data, found something else");
    if (!gzip && gzdirect(file) == 0)
      throw InputError({name}, "expected text, found gzip data: its name must end in .gz");
    if (count == 0) ended = true;
  }

  // The error lies in the line that follows all that could be read.
  [[noreturn]] void Throw(std::string_view message) const {
    const auto whole_lines = std::count(pending.begin(), pending.end(), '\n');
    throw InputError({name, line_number + static_cast<int>(whole_lines) + 1}, message);
  }
};

LineReader::LineReader(const std::filesystem::path& path, bool gzip)
    : state_(std::make_unique<State>()) {
  state_->name = path.string();
  state_->gzip = gzip;
  if (std::filesystem::is_directory(path))
    throw InputError({path.string()}, "this is a folder, expected a file");
  errno = 0;
  state_->file = gzopen(path.c_str(), "rb");
  if (state_->file == nullptr)
    throw InputError({path.string()}, std::strerror(errno == 0 ? ENOMEM : errno));
  gzbuffer(state_->file, 1U << 17U);
}

LineReader::~LineReader() {
  if (state_->file != nullptr) gzclose_r(state_->file);
}

bool LineReader::Next(std::string_view& line) {
  State& state = *state_;
  std::size_t searched = state.begin;
  while (true) {
    const std::size_t feed = state.pending.find('\n', searched);
    const bool whole = feed != std::string::npos;
    if (!whole && !state.ended) {
      searched = state.pending.size() - state.begin;  // Fill moves the rest to the front
      state.Fill();
      continue;
    }
    const std::size_t end = whole ? feed + 1 : state.pending.size();
    if (end == state.begin) return false;
    line = std::string_view(state.pending).substr(state.begin, end - state.begin);
    state.begin = end;
    ++state.line_number;
    return true;
  }
}

int LineReader::line_number() const { return state_->line_number; }

}  // namespace daq
