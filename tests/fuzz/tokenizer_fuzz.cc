// tokenizer.model, which sentencepiece reads. An input's first letter says whether the settings
// beside it are legacy ones (l) or not (n).
#include "eval/tokenizer.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/fuzz/tokenizer_model.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {

FuzzTarget TokenizerTarget();

namespace {

// A folder whose model is rewritten.
struct Folder {
  explicit Folder(std::string_view settings) {
    WriteText(folder.path(), "tokenizer_config.json", settings);
  }
  TemporaryFolder folder;
  ScratchFile model{folder.path() / "tokenizer.model"};
};

void ReadTokenizer(std::string_view bytes) {
  static const Folder legacy("{}");
  static const Folder modern(R"({"legacy": false, "pad_token": "<pad>"})");
  const Folder& folder = !bytes.empty() && bytes.front() == 'n' ? modern : legacy;
  folder.model.Write(bytes.substr(bytes.empty() ? 0 : 1));
  const Tokenizer tokenizer(folder.folder.path());
  for (const std::string_view text :
       {"Once upon a time.", " two  spaces\n<s> and</s> <unk>", "\u00e9\u2581\U0001F600", ""})
    tokenizer.Encode(text);
}

}  // namespace

FuzzTarget TokenizerTarget() {
  const std::string model = SmallTokenizerModel();
  return {.name = "tokenizer",
          .run = ReadTokenizer,
          .seeds = {"l" + model, "n" + model, "l" + SmallTokenizerModelWithMap()},
          // Fields of the format: an empty piece, types, a precompiled character map, whole specs.
          .words = {std::string_view("\x0a\x00", 2), std::string_view("\x18\x03", 2),
                    std::string_view("\x18\x06", 2), std::string_view("\x18\x01", 2),
                    std::string_view("\x12\x04\x00\x00\x00\x00", 6),
                    std::string_view("\x1a\x06\x12\x04\x04\x00\x00\x00", 8),
                    std::string_view("\x1a\x0a\x12\x08\x04\x00\x00\x00\x00\x04\x00\x00", 12),
                    std::string_view("\x1a\x02\x18\x00", 4), std::string_view("\x18\x04", 2),
                    std::string_view("\x0a\x09\x0a\x01\x61\x15\x00\x00\x00\x00", 10), "<unk>"}};
}

}  // namespace daq
