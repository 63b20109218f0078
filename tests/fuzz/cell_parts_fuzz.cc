// Parts of cells: CBOR, beside a good part of the same cell.
#include "base/file.h"
#include "harness/cell_parts.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/support/temporary_folder.h"

namespace daq {

FuzzTarget CellPartsTarget();

namespace {

constexpr Index kWindows = 5;

CellPart MakePart(Index first, Index count, bool token_metrics) {
  CellPart part;
  part.range = {.first = first, .count = count};
  part.seconds = 1.5;
  part.peak_rss_bytes = 12345678;
  part.scores.losses.assign(static_cast<std::size_t>(count), 2.25);
  part.scores.scored_tokens.assign(static_cast<std::size_t>(count), 2);
  if (!token_metrics) return part;
  part.scores.token_losses.assign(static_cast<std::size_t>(2 * count), 2.25F);
  part.scores.token_kl.assign(static_cast<std::size_t>(2 * count), 0.1F);
  part.scores.top1_agreements.assign(static_cast<std::size_t>(count), 1);
  return part;
}

void ReadParts(std::string_view bytes) {
  static const TemporaryFolder folder;
  static const CellParts parts(folder.path());
  static const bool once = (parts.Write("cell", MakePart(0, 2, true)), true);
  static const ScratchFile scratch(folder.path() / "parts/cell/2-5.part");
  (void)once;
  scratch.Write(bytes);
  const std::vector<CellPart> read = parts.Read("cell");
  MissingWindows(read, {.first = 0, .count = kWindows});
  JoinParts(read, kWindows);
}

std::vector<std::string> Files() {
  const TemporaryFolder folder;
  const CellParts parts(folder.path());
  std::vector<std::string> files;
  for (const bool token_metrics : {false, true}) {
    parts.Write("cell", MakePart(2, 3, token_metrics));
    files.push_back(ReadFile(folder.path() / "parts/cell/2-5.part"));
  }
  return files;
}

}  // namespace

FuzzTarget CellPartsTarget() {
  return {.name = "cell_parts",
          .run = ReadParts,
          .seeds = Files(),
          // Lengths that promise much, indefinite ones, tags, floats that are no numbers.
          .words = {std::string_view("\x9B\x00\x00\x00\x00\xFF\xFF\xFF\xFF", 9), "\x9F", "\xBF",
                    "\xFF", "\xF6", "\x1B\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
                    "\x3B\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "\xFB\x7F\xEF\xFF\xFF\xFF\xFF\xFF\xFF",
                    "\xF9\x7E", "\xF9\x7C", "\xC1",
                    std::string_view("\x5B\x00\x00\x00\x00\x7F\xFF\xFF\xFF", 9), "\x67windows",
                    "\x65"
                    "first"}};
}

}  // namespace daq
