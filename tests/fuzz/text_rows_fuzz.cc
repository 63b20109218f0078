// Texts. An input's first letter says how the file is named: .jsonl (j), .jsonl.gz (g), .json.zst
// (z) or .txt (t).
#include <zlib.h>
#include <zstd.h>

#include <algorithm>

#include "base/error.h"
#include "eval/text_rows.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/support/temporary_folder.h"

namespace daq {

FuzzTarget TextRowsTarget();

namespace {

void ReadTexts(std::string_view bytes) {
  static const TemporaryFolder folder;
  static const ScratchFile lines(folder.path() / "a.jsonl");
  static const ScratchFile gzip(folder.path() / "a.jsonl.gz");
  static const ScratchFile zstd(folder.path() / "a.json.zst");
  static const ScratchFile raw(folder.path() / "a.txt");
  const char kind = bytes.empty() ? 't' : bytes.front();
  const ScratchFile& file = kind == 'j' ? lines : kind == 'g' ? gzip : kind == 'z' ? zstd : raw;
  file.Write(bytes.substr(bytes.empty() ? 0 : 1));
  const Index count = CountTextRows(file.path());
  const std::vector<Index> numbers = {count - 1};
  PickTextRows(file.path(), numbers);
  ReadTextRows(file.path(), 1);
  JoinRows(ReadTextRows(file.path()), "\n\n");
}

std::string Gzip(std::string_view text) {
  z_stream stream = {};
  constexpr int kGzipWindow = 15 + 16;
  DAQ_CHECK(deflateInit2(&stream, 9, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) == Z_OK,
            "zlib starts");
  std::string packed(deflateBound(&stream, text.size()), '\0');
  std::string input(text);
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  DAQ_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END, "room for all");
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string Zstd(std::string_view text) {
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3));
  return packed;
}

std::vector<std::string> Texts() {
  const std::string lines =
      "{\"text\":\"Once upon a time.\"}\n{\"id\":1.5e3,\"text\":\"\\u00e9 \\ud83d\\ude00\"}\n"
      "{\"text\":\"\",\"meta\":{\"a\":[1,null,true]}}\n";
  std::string many;
  for (int i = 0; i < 50; ++i) many += lines;
  return {"j" + lines,
          "g" + Gzip(lines),
          "g" + Gzip(lines) + Gzip(lines),
          "g" + Gzip(many),
          "z" + Zstd(lines),
          "z" + Zstd(lines) + Zstd(many),
          "t = A title = \r\n \n\nOnce upon a time.\rThe end \xC3\xA9"};
}

}  // namespace

FuzzTarget TextRowsTarget() {
  return {.name = "text_rows",
          .run = ReadTexts,
          .seeds = Texts(),
          .words = {"\n{\"text\":\"a\"}\n", "{\"text\":", "\"text\":1,", "\x1F\x8B\x08",
                    "\x28\xB5\x2F\xFD", "\x50\x2A\x4D\x18", "1e999,", "\"x\":1e999,", "\r"}};
}

}  // namespace daq
