#include "eval/line_reader.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "base/error.h"

namespace daq {

struct LineReader::State {
  std::string name;
  std::unique_ptr<ByteSource> source;
  std::string pending;  // read, and not yet given out from `begin` on
  std::size_t begin = 0;
  int line_number = 0;
  bool ended = false;

  // Reads one more piece into `pending`; sets `ended` when there is none.
  void Fill() {
    constexpr std::size_t kPiece = std::size_t{1} << 18U;
    pending.erase(0, begin);
    begin = 0;
    const std::size_t size = pending.size();
    pending.resize(size + kPiece);
    const ByteSource::Piece piece = source->Read(std::span(pending).subspan(size));
    pending.resize(size + piece.bytes);
    if (!piece.wrong_kind.empty()) throw InputError({name}, piece.wrong_kind);
    if (!piece.damage.empty()) Throw(piece.damage);
    if (piece.bytes == 0) ended = true;
  }

  // The error lies in the line that follows all that could be read.
  [[noreturn]] void Throw(std::string_view message) const {
    const auto whole_lines = std::count(pending.begin(), pending.end(), '\n');
    throw InputError({name, line_number + static_cast<int>(whole_lines) + 1}, message);
  }
};

LineReader::LineReader(const std::filesystem::path& path, Packing packing)
    : state_(std::make_unique<State>()) {
  state_->name = path.string();
  state_->source = OpenBytes(path, packing);
}

LineReader::~LineReader() = default;

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
