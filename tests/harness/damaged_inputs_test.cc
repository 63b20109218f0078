// Wrong inputs as a user meets them: each is one message that names the place, exit code 2, no
// crash (the unit tests of eval/ say more about each kind; here the whole program is run).
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>

#include "base/file.h"
#include "tests/support/run_program.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

class DamagedInputsTest : public testing::Test {
 protected:
  static constexpr const char* kIds =
      "evaluate: [{protocol: ids, file: ids.json}]\nrecipes: [fp16]\n";
  static constexpr const char* kRaw =
      "evaluate: [{protocol: gptq-wikitext2, file: text.txt, window_tokens: 64}]\n"
      "recipes: [fp16]\n";

  DamagedInputsTest() {
    WriteTinyCheckpoint(model(), {});
    Write("ids.json", R"({"windows": [[1, 2, 3, 4]]})");
  }

  fs::path model() const { return folder_.path() / "model"; }
  fs::path weights() const { return model() / "model.safetensors"; }

  void Write(const std::string& file, const std::string& content) const {
    WriteFileAtomically(folder_.path() / file, content);
  }

  // The messages of a run of `config`, which must end with exit code 2.
  std::string Errors(const std::string& config = std::string("model: model\n") + kIds) const {
    Write("x.yaml", config);
    const ProgramResult run =
        RunProgram({DAQ_BINARY, (folder_.path() / "x.yaml").string(), "--quiet", "--results",
                    (folder_.path() / "results").string()});
    EXPECT_EQ(run.exit_code, 2) << run.errors;
    return run.errors;
  }

  static void ExpectHas(const std::string& text, std::string_view part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }

  // A tokenizer that some model brings; the demo's.
  void CopyTokenizer() const {
    for (const char* file : {"tokenizer.model", "tokenizer_config.json"})
      fs::copy(fs::path(DAQ_SOURCE_DIR) / "demo/model" / file, model() / file);
  }

  const TemporaryFolder folder_;
};

TEST_F(DamagedInputsTest, WeightsCutShort) {
  const std::string sound = ReadFile(weights());
  WriteFileAtomically(weights(), sound.substr(0, sound.size() / 2));
  ExpectHas(Errors(), "bytes of data (is the file cut short?)");
  WriteFileAtomically(weights(), sound.substr(0, 100));
  ExpectHas(Errors(), "the file is cut short or not safetensors");
  WriteFileAtomically(weights(), "");
  ExpectHas(Errors(), "the file is empty");
}

TEST_F(DamagedInputsTest, OversizedHeader) {
  std::string damaged = ReadFile(weights());
  for (const std::uint64_t length : {std::uint64_t{200'000'000}, ~std::uint64_t{0}}) {
    std::memcpy(damaged.data(), &length, sizeof(length));
    WriteFileAtomically(weights(), damaged);
    ExpectHas(Errors(), "header: expected at most 100000000 bytes");
  }
}

TEST_F(DamagedInputsTest, WrongShape) {
  std::vector<TinyTensor> tensors = MakeTinyTensors({});
  for (TinyTensor& tensor : tensors) {
    if (tensor.name == "model.layers.0.mlp.up_proj.weight")
      std::swap(tensor.shape[0], tensor.shape[1]);
  }
  WriteSafetensors(weights(), tensors, "F16");
  ExpectHas(Errors(), "model.layers.0.mlp.up_proj.weight: expected shape [48, 32], found [32, 48]");
}

TEST_F(DamagedInputsTest, NotFiniteWeights) {
  for (const auto& [value, found] : {std::pair{std::numeric_limits<float>::quiet_NaN(), "NaN"},
                                     {-std::numeric_limits<float>::infinity(), "-infinity"}}) {
    std::vector<TinyTensor> tensors = MakeTinyTensors({});
    for (TinyTensor& tensor : tensors) {
      if (tensor.name == "model.norm.weight") tensor.values[2] = value;
    }
    WriteSafetensors(weights(), tensors, "F32");
    ExpectHas(Errors(),
              "model.norm.weight[2]: expected a finite number, found " + std::string(found));
  }
}

TEST_F(DamagedInputsTest, AbsentFiles) {
  TinyCheckpointSpec spec;
  spec.shards = 2;
  fs::remove_all(model());
  WriteTinyCheckpoint(model(), spec);
  fs::remove(model() / "model-00002-of-00002.safetensors");
  ExpectHas(Errors(), "model-00002-of-00002.safetensors beside it, found no such file");
  fs::remove(model() / "model.safetensors.index.json");
  ExpectHas(Errors(), "expected model.safetensors or model.safetensors.index.json");
  fs::remove(model() / "config.json");
  ExpectHas(Errors(), "config.json: No such file");
  fs::remove_all(model());
  ExpectHas(Errors(), "no such model");
  ExpectHas(Errors(std::string("model: owner/name\n") + kIds), "hf download owner/name");
}

TEST_F(DamagedInputsTest, Texts) {
  CopyTokenizer();
  const auto errors_of = [&](const std::string& text) {
    Write("text.txt", text);
    return Errors(std::string("model: model\n") + kRaw);
  };
  ExpectHas(errors_of(""), "text.txt: the file is empty");
  ExpectHas(errors_of("Once upon a time.\n"), "the text is shorter than one window");
  ExpectHas(errors_of(" \n\n"), "the text is shorter than one window");
  ExpectHas(errors_of("a\n\xff\n"), "text.txt:2: expected text in UTF-8");
  fs::remove(folder_.path() / "text.txt");
  ExpectHas(Errors(std::string("model: model\n") + kRaw), "text.txt: No such file");
  Write("ids.json", R"({"windows": [[1, 2], [3]]})");
  ExpectHas(Errors(), "windows[1]: expected 2 ids");
}

TEST_F(DamagedInputsTest, Configs) {
  const std::string rest = std::string("model: model\n") + kIds;
  ExpectHas(Errors("model: [\n"), "x.yaml:2: expected YAML");
  ExpectHas(Errors(""), "x.yaml: expected a map");
  ExpectHas(Errors(rest + "thread: 3\n"), "x.yaml:4: thread: expected one of");
  ExpectHas(Errors(rest + "model: other\n"), "x.yaml:4: model: expected every key once");
}

}  // namespace
}  // namespace daq
