// The JSON files beside tokenizer.model. An input's first letter says which: tokenizer_config.json
// (t), special_tokens_map.json (s), added_tokens.json (a) or tokenizer.json (j).
#include <map>

#include "eval/tokenizer.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/fuzz/tokenizer_model.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {

FuzzTarget TokenizerSettingsTarget();

namespace {

// A folder with a good model, of which one other file is rewritten.
struct Folder {
  explicit Folder(const std::string& file) : settings(folder.path() / file) {
    WriteText(folder.path(), "tokenizer.model", SmallTokenizerModel());
  }
  TemporaryFolder folder;
  ScratchFile settings;
};

void ReadSettings(std::string_view bytes) {
  static const Folder config("tokenizer_config.json");
  static const Folder special("special_tokens_map.json");
  static const Folder added("added_tokens.json");
  static const Folder fast("tokenizer.json");
  const char kind = bytes.empty() ? 't' : bytes.front();
  const Folder& folder = kind == 's' ? special : kind == 'a' ? added : kind == 'j' ? fast : config;
  folder.settings.Write(bytes.substr(bytes.empty() ? 0 : 1));
  const Tokenizer tokenizer(folder.folder.path());
  for (const std::string_view text : {"Once upon<pad> a time.<s>", " <pad>", "a a a</s>"})
    tokenizer.Encode(text);
}

}  // namespace

FuzzTarget TokenizerSettingsTarget() {
  return {.name = "tokenizer_settings",
          .run = ReadSettings,
          .seeds = {"t{}", R"(t{"add_bos_token": true, "add_eos_token": true, "legacy": false,
                  "tokenizer_class": "LlamaTokenizer", "pad_token": "<pad>",
                  "added_tokens_decoder": {"0": {"content": "<unk>"}, "400": {"content": "<pad>",
                  "lstrip": false, "special": true}}, "add_prefix_space": false,
                  "additional_special_tokens": ["<a>", {"content": "<b>"}],
                  "sp_model_kwargs": {}})",
                    R"(s{"bos_token": {"content": "<s>", "lstrip": false}, "unk_token": "<unk>",
             "additional_special_tokens": ["<a>", "<a>"], "eos_token": null})",
                    R"(a{"<pad>": 400, "a": 401})",
                    R"(j{"added_tokens": [{"id": 0, "content": "<unk>"},
             {"id": 400, "content": "<pad>"}]})"},
          .words = {"\"legacy\":false", "\"content\":\"", "\"bos_token\":null",
                    "\"unk_token\":\"\"", "\"added_tokens_decoder\":{", "\"add_eos_token\":true",
                    "\"<s>\"", "\"id\":", "\"add_bos_token\":false", "\"unk_token\":\" \""}};
}

}  // namespace daq
