#include "eval/checkpoint.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/interrupt.h"
#include "eval/block_weights.h"
#include "tests/support/input_error.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

// Every value of a tensor, read in pieces of `rows` rows.
std::vector<float> ReadAll(const Checkpoint& checkpoint, const TinyTensor& tensor, Index rows) {
  if (tensor.shape.size() == 1) {
    const VectorF vector = checkpoint.ReadVector(tensor.name);
    return {vector.begin(), vector.end()};
  }
  std::vector<float> values;
  for (Index first = 0; first < tensor.shape[0]; first += rows) {
    MatrixF piece(std::min<Index>(rows, tensor.shape[0] - first), tensor.shape[1]);
    checkpoint.ReadRows(tensor.name, first, piece);
    values.insert(values.end(), piece.data(), piece.data() + piece.size());
  }
  return values;
}

// What a shell command prints, without its last line feed.
std::string OutputOf(const std::string& command) {
  std::string output;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "cannot run";
  std::array<char, 256> buffer{};
  while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) output += buffer.data();
  ::pclose(pipe);
  while (output.ends_with('\n')) output.pop_back();
  return output;
}

class CheckpointTest : public testing::Test {
 protected:
  std::string Error() const {
    return InputErrorOf(folder_.path(), [&] { const Checkpoint checkpoint(folder_.path()); });
  }
  // Writes the spec's checkpoint with changed tensors in one file.
  void WriteWith(std::vector<TinyTensor> tensors) const {
    WriteTinyCheckpoint(folder_.path(), spec_);
    WriteSafetensors(folder_.path() / "model.safetensors", tensors, spec_.dtype);
  }
  static TinyTensor& Find(std::vector<TinyTensor>* tensors, const std::string& name) {
    for (TinyTensor& tensor : *tensors) {
      if (tensor.name == name) return tensor;
    }
    throw std::invalid_argument(name);
  }

  TinyCheckpointSpec spec_;
  const TemporaryFolder folder_;
};

TEST_F(CheckpointTest, GivesEveryTensorInEveryTypeFromOneFileOrMany) {
  for (const char* dtype : {"F32", "F16", "BF16"}) {
    for (const int shards : {1, 5}) {
      spec_.dtype = dtype;
      spec_.shards = shards;
      const fs::path folder = folder_.path() / (std::string(dtype) + std::to_string(shards));
      WriteTinyCheckpoint(folder, spec_);
      const Checkpoint checkpoint(folder);
      EXPECT_EQ(checkpoint.folder(), folder);
      EXPECT_EQ(checkpoint.config().num_layers, 2);
      EXPECT_EQ(checkpoint.dtype(), dtype);
      EXPECT_EQ(checkpoint.head_name(), "lm_head.weight");
      for (const TinyTensor& tensor : MakeTinyTensors(spec_)) {
        for (const Index rows : {1, 7, 1000})
          ASSERT_EQ(ReadAll(checkpoint, tensor, rows), tensor.values) << tensor.name;
      }
    }
  }
}

TEST_F(CheckpointTest, RowsGoIntoAPartOfAWiderMatrix) {
  WriteTinyCheckpoint(folder_.path(), spec_);
  const Checkpoint checkpoint(folder_.path());
  MatrixF wide = MatrixF::Constant(10, 40, -7);
  checkpoint.ReadRows(kEmbeddingName, 3, wide.block(2, 4, 5, 32));
  const std::vector<float> values = MakeTinyTensors(spec_)[0].values;
  for (Index row = 0; row < 10; ++row) {
    for (Index col = 0; col < 40; ++col) {
      const bool inside = row >= 2 && row < 7 && col >= 4 && col < 36;
      const float expected =
          inside ? values[static_cast<std::size_t>((row + 1) * 32 + col - 4)] : -7.0F;
      ASSERT_EQ(wide(row, col), expected) << row << ", " << col;
    }
  }
}

// Pages of the file in the system's cache. The mapping is this test's own.
class PageWatch {
 public:
  explicit PageWatch(const fs::path& file) : descriptor_(::open(file.c_str(), O_RDONLY)) {
    size_ = fs::file_size(file);
    data_ = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor_, 0);
  }
  ~PageWatch() {
    ::munmap(data_, size_);
    ::close(descriptor_);
  }
  PageWatch(const PageWatch&) = delete;
  PageWatch& operator=(const PageWatch&) = delete;

  void Drop() const {
    ::fsync(descriptor_);
    ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
  }
  std::size_t Pages() const {
    std::vector<unsigned char> there(size_ / 4096 + 1);
    ::mincore(data_, size_, there.data());
    return static_cast<std::size_t>(
        std::count_if(there.begin(), there.end(), [](unsigned char page) { return page & 1; }));
  }

 private:
  int descriptor_;
  std::size_t size_;
  void* data_;
};

TEST_F(CheckpointTest, ReadAheadBringsABlockIntoTheCache) {
  const TinyCheckpointSpec spec = {.hidden_size = 512, .intermediate_size = 1024, .num_layers = 3};
  WriteTinyCheckpoint(folder_.path(), spec);
  const Checkpoint checkpoint(folder_.path());
  const PageWatch watch(folder_.path() / "model.safetensors");
  watch.Drop();
  const std::size_t before = watch.Pages();
  // The header's stay, which are in use.
  if (before > fs::file_size(folder_.path() / "model.safetensors") / 4096 / 2)
    GTEST_SKIP() << before << " pages stay in the cache of this file system";
  ReadAhead(checkpoint, 1);
  // Two thirds of the block's pages at least, for others may need memory at the same time.
  const std::size_t block = BlockWeightBytes(checkpoint.config()) / 2 / 4096;  // stored in 16 bits
  for (int i = 0; i < 100 && watch.Pages() < before + block * 2 / 3; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_GE(watch.Pages(), before + block * 2 / 3);
  ReadAhead(checkpoint, 3);  // behind the last
}

TEST_F(CheckpointTest, ManyThreadsReadTheSame) {
  spec_.vocab_size = 3000;  // several pages
  WriteTinyCheckpoint(folder_.path(), spec_);
  const Checkpoint checkpoint(folder_.path());
  const TinyTensor embedding = MakeTinyTensors(spec_)[0];
  std::vector<int> equal(4, 0);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < equal.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 5; ++round) {
        if (ReadAll(checkpoint, embedding, 100 + static_cast<Index>(i)) == embedding.values)
          ++equal[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(equal, std::vector<int>(4, 5));
}

TEST_F(CheckpointTest, TiedModelsHaveTheEmbeddingAsHead) {
  spec_.tie_word_embeddings = true;
  WriteTinyCheckpoint(folder_.path(), spec_);
  EXPECT_EQ(Checkpoint(folder_.path()).head_name(), "model.embed_tokens.weight");
  // Even where the file has a head too, whatever its shape: transformers overwrites it with the
  // embedding.
  std::vector<TinyTensor> tensors = MakeTinyTensors(spec_);
  tensors.push_back({"lm_head.weight", {1, 1}, {0}});
  WriteWith(tensors);
  EXPECT_EQ(Checkpoint(folder_.path()).head_name(), "model.embed_tokens.weight");
}

TEST_F(CheckpointTest, SingleFileWinsOverAnIndex) {
  WriteTinyCheckpoint(folder_.path(), spec_);
  WriteText(folder_.path(), "model.safetensors.index.json", "not read");
  EXPECT_EQ(Error(), "no error");
}

TEST_F(CheckpointTest, OtherTensorsAreLeftAlone) {
  std::vector<TinyTensor> tensors = MakeTinyTensors(spec_);
  tensors.push_back({"model.layers.0.self_attn.rotary_emb.inv_freq", {4}, {1, 2, 3, 4}});
  WriteWith(tensors);
  EXPECT_EQ(Error(), "no error");
}

TEST_F(CheckpointTest, BiasesAndFurtherLayersAreRefused) {
  std::vector<TinyTensor> tensors = MakeTinyTensors(spec_);
  tensors.push_back({"model.layers.0.self_attn.q_proj.bias", {32}, std::vector<float>(32)});
  WriteWith(tensors);
  EXPECT_EQ(Error(),
            "model.safetensors: model.layers.0.self_attn.q_proj.bias: expected no bias (layers "
            "with a bias are not supported), found one");
  tensors.back().name = "model.layers.2.input_layernorm.weight";
  WriteWith(tensors);
  EXPECT_EQ(Error(),
            "model.safetensors: model.layers.2.input_layernorm.weight: expected layers 0 to 1 as "
            "config.json states, found a "
            "further one");
  tensors.back().name = "model.layers.10.input_layernorm.weight";
  WriteWith(tensors);
  EXPECT_EQ(Error(),
            "model.safetensors: model.layers.10.input_layernorm.weight: expected layers 0 to 1 as "
            "config.json states, found a "
            "further one");
}

TEST_F(CheckpointTest, EveryTensorMustBeThere) {
  const std::vector<TinyTensor> tensors = MakeTinyTensors(spec_);
  for (std::size_t missing = 0; missing < tensors.size(); ++missing) {
    std::vector<TinyTensor> rest = tensors;
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(missing));
    WriteWith(rest);
    const nlohmann::json shape = tensors[missing].shape;
    std::string shape_text = shape.dump();
    if (const std::size_t comma = shape_text.find(','); comma != std::string::npos)
      shape_text.insert(comma + 1, " ");
    EXPECT_EQ(Error(), "model.safetensors: " + tensors[missing].name +
                           ": expected a tensor of shape " + shape_text + ", found nothing");
  }
}

TEST_F(CheckpointTest, EveryShapeIsChecked) {
  for (std::size_t wrong = 0; wrong < MakeTinyTensors(spec_).size(); ++wrong) {
    std::vector<TinyTensor> tensors = MakeTinyTensors(spec_);
    tensors[wrong].shape.push_back(1);
    WriteWith(tensors);
    EXPECT_TRUE(
        Error().starts_with("model.safetensors: " + tensors[wrong].name + ": expected shape ["))
        << Error();
  }
  std::vector<TinyTensor> tensors = MakeTinyTensors(spec_);
  Find(&tensors, "model.layers.1.mlp.down_proj.weight").shape = {48, 32};
  WriteWith(tensors);
  EXPECT_EQ(Error(),
            "model.safetensors: model.layers.1.mlp.down_proj.weight: expected shape [32, 48], "
            "found [48, 32]");
}

TEST_F(CheckpointTest, TypesThatAreNotFloatsAreRefused) {
  WriteTinyCheckpoint(folder_.path(), spec_);
  std::string file = ReadFile(folder_.path() / "model.safetensors");
  const std::size_t at = file.find("\"F16\"", file.find("model.layers.1.mlp.up_proj"));
  file.replace(at, 5, "\"I16\"");
  WriteText(folder_.path(), "model.safetensors", file);
  EXPECT_EQ(Error(),
            "model.safetensors: model.layers.1.mlp.up_proj.weight: expected type F32, F16 or BF16, "
            "found I16");
}

TEST_F(CheckpointTest, WeightsThatAreNotSafetensorsAreRefusedByName) {
  WriteTinyCheckpoint(folder_.path(), spec_);
  fs::remove(folder_.path() / "model.safetensors");
  const std::string place =
      folder_.path().string() +
      ": weights: expected model.safetensors or model.safetensors.index.json, found ";
  const std::string convert =
      "; convert with transformers: "
      "AutoModelForCausalLM.from_pretrained(...).save_pretrained(folder))";
  EXPECT_EQ(Error(), place + "neither");
  for (const char* name : {"pytorch_model.bin", "pytorch_model-00001-of-00002.bin",
                           "consolidated.00.pth", "model.pt"}) {
    WriteText(folder_.path(), name, "x");
    EXPECT_EQ(Error(), place + name + " (a pickle, not read because it can run code" + convert);
    fs::remove(folder_.path() / name);
  }
  WriteText(folder_.path(), "llama.Q4_0.gguf", "x");
  EXPECT_EQ(Error(), place + "llama.Q4_0.gguf (llama.cpp's format, not read here" + convert);
  fs::remove(folder_.path() / "llama.Q4_0.gguf");
  WriteText(folder_.path(), "model-00001-of-00002.safetensors", "x");
  EXPECT_EQ(Error(), place + "model-00001-of-00002.safetensors without an index");
}

TEST_F(CheckpointTest, FoldersAndConfigsMustExist) {
  EXPECT_EQ(InputErrorOf("-", [] { const Checkpoint checkpoint("/no/such"); }),
            "/no/such: no such folder");
  EXPECT_EQ(Error(), "config.json: No such file or directory");
  const std::string endless(5000, 'x');
  EXPECT_EQ(InputErrorOf("-", [&] { const Checkpoint checkpoint(endless); }),
            endless + ": no such folder");
}

TEST_F(CheckpointTest, IndexErrorsAreNamed) {
  spec_.shards = 3;
  WriteTinyCheckpoint(folder_.path(), spec_);
  const fs::path index = folder_.path() / "model.safetensors.index.json";
  const nlohmann::json good = nlohmann::json::parse(ReadFile(index));

  fs::rename(folder_.path() / "model-00002-of-00003.safetensors", folder_.path() / "away");
  EXPECT_EQ(Error(),
            "model.safetensors.index.json: weight_map: expected the file "
            "model-00002-of-00003.safetensors beside it, found no "
            "such file");
  fs::rename(folder_.path() / "away", folder_.path() / "model-00002-of-00003.safetensors");
  EXPECT_EQ(Error(), "no error");

  nlohmann::json bad = good;
  bad["weight_map"]["model.norm.weight"] = "model-00001-of-00003.safetensors";
  WriteText(folder_.path(), "model.safetensors.index.json", bad.dump());
  EXPECT_EQ(Error(),
            "model-00001-of-00003.safetensors: model.norm.weight: expected the tensor that "
            "model.safetensors.index.json says is "
            "here, found nothing");

  for (const char* name :
       {"../model-00001-of-00003.safetensors", "/etc/passwd", "a b.safetensors", "x.bin", ""}) {
    bad = good;
    bad["weight_map"]["model.norm.weight"] = name;
    WriteText(folder_.path(), "model.safetensors.index.json", bad.dump());
    EXPECT_EQ(Error(),
              "model.safetensors.index.json: weight_map.model.norm.weight: expected the name of a "
              ".safetensors file beside the "
              "index, found \"" +
                  std::string(name) + "\"");
  }
  WriteText(folder_.path(), "model.safetensors.index.json", "{\"weight_map\": {}}");
  EXPECT_EQ(Error(),
            "model.safetensors.index.json: model.embed_tokens.weight: expected a tensor of shape "
            "[64, 32], found nothing");
  WriteText(folder_.path(), "model.safetensors.index.json", "{\"metadata\": {}}");
  EXPECT_EQ(Error(), "model.safetensors.index.json: weight_map: expected an object, found nothing");
}

TEST_F(CheckpointTest, ATensorInTwoShardsIsRefused) {
  spec_.shards = 2;
  WriteTinyCheckpoint(folder_.path(), spec_);
  std::vector<TinyTensor> second = {MakeTinyTensors(spec_)[0]};
  for (const TinyTensor& tensor : MakeTinyTensors(spec_)) second.push_back(tensor);
  second.erase(second.begin());
  WriteSafetensors(folder_.path() / "model-00002-of-00002.safetensors", second, spec_.dtype);
  EXPECT_EQ(Error(),
            "model-00002-of-00002.safetensors: model.embed_tokens.weight: expected the tensor in "
            "one file, found it in two");
}

TEST_F(CheckpointTest, NumbersThatAreNotFiniteAreNamedByElement) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const char* dtype : {"F32", "F16", "BF16"}) {
    spec_.dtype = dtype;
    for (const auto& [value, word] :
         {std::pair(std::nanf(""), "NaN"), std::pair(infinity, "infinity"),
          std::pair(-infinity, "-infinity")}) {
      std::vector<TinyTensor> tensors = MakeTinyTensors(spec_);
      Find(&tensors, "model.layers.1.mlp.down_proj.weight").values[5 * 48 + 47] = value;
      Find(&tensors, "model.layers.1.mlp.down_proj.weight").values[0] = value;
      Find(&tensors, "model.norm.weight").values[31] = value;
      WriteWith(tensors);
      const Checkpoint checkpoint(folder_.path());
      MatrixF rows(4, 48);
      checkpoint.ReadRows("model.layers.1.mlp.down_proj.weight", 1, rows);  // rows 1 to 4 are sound
      for (const Index first : {2, 5}) {
        EXPECT_EQ(
            InputErrorOf(
                folder_.path(),
                [&] { checkpoint.ReadRows("model.layers.1.mlp.down_proj.weight", first, rows); }),
            std::string("model.safetensors: model.layers.1.mlp.down_proj.weight[5, 47]: expected a "
                        "finite number, found ") +
                word);
      }
      EXPECT_EQ(InputErrorOf(folder_.path(), [&] { checkpoint.ReadVector("model.norm.weight"); }),
                std::string(
                    "model.safetensors: model.norm.weight[31]: expected a finite number, found ") +
                    word);
    }
  }
}

TEST_F(CheckpointTest, FileBytesAreThoseOfAllWeightFiles) {
  spec_.shards = 3;
  WriteTinyCheckpoint(folder_.path(), spec_);
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder_.path())) {
    if (entry.path().extension() == ".safetensors") bytes += entry.file_size();
  }
  EXPECT_EQ(Checkpoint(folder_.path()).file_bytes(), static_cast<std::int64_t>(bytes));
}

TEST_F(CheckpointTest, ContentHashIsWhatCoreutilsPrint) {
  for (const int shards : {1, 3}) {
    spec_.shards = shards;
    const fs::path folder = folder_.path() / std::to_string(shards);
    WriteTinyCheckpoint(folder, spec_);
    const std::string printed = OutputOf(
        "cd '" + folder.string() + "' && LC_ALL=C sha256sum config.json *.safetensors | sha256sum");
    ASSERT_EQ(printed.size(), 64U + 3) << printed;  // "<digits>  -"
    EXPECT_EQ(Checkpoint(folder).ContentHash(), printed.substr(0, 64));
  }
}

TEST_F(CheckpointTest, ContentHashReadsFilesLargerThanItsPieces) {
  spec_.vocab_size = 600000;  // 38 MB: two pieces of 16 MiB and a part
  spec_.tie_word_embeddings = true;
  WriteTinyCheckpoint(folder_.path(), spec_);
  const std::string printed =
      OutputOf("cd '" + folder_.path().string() +
               "' && LC_ALL=C sha256sum config.json *.safetensors | sha256sum");
  EXPECT_EQ(Checkpoint(folder_.path()).ContentHash(), printed.substr(0, 64));
}

TEST_F(CheckpointTest, HashingStopsWhenInterrupted) {
  WriteTinyCheckpoint(folder_.path(), spec_);
  const Checkpoint checkpoint(folder_.path());
  RequestInterrupt(true);
  EXPECT_THROW(checkpoint.ContentHash(), Interrupted);
  RequestInterrupt(false);
}

using CheckpointDeathTest = CheckpointTest;

TEST_F(CheckpointDeathTest, AskingForWhatIsNotThereIsABug) {
  WriteTinyCheckpoint(folder_.path(), spec_);
  const Checkpoint checkpoint(folder_.path());
  MatrixF rows(2, 32);
  EXPECT_DEATH(checkpoint.ReadRows("model.nothing", 0, rows),
               "the model has a tensor model.nothing");
  EXPECT_DEATH(checkpoint.ReadRows(kEmbeddingName, 63, rows), "rows of the tensor");
  EXPECT_DEATH(checkpoint.ReadRows(kEmbeddingName, -1, rows), "rows of the tensor");
  EXPECT_DEATH(checkpoint.ReadRows("model.layers.0.mlp.down_proj.weight", 0, rows),
               "the columns of the tensor");
}

TEST_F(CheckpointTest, FilesThatTransformersWroteAreRead) {
  DAQ_REQUIRE_SHARED("goldens/gqa-bf16-sharded");
  const Checkpoint sharded(SharedPath("goldens/gqa-bf16-sharded"));
  EXPECT_EQ(sharded.dtype(), "BF16");
  EXPECT_EQ(sharded.head_name(), kEmbeddingName);
  EXPECT_EQ(Checkpoint(SharedPath("goldens/llama2-f16")).dtype(), "F16");
  EXPECT_EQ(Checkpoint(SharedPath("goldens/mqa-f32")).dtype(), "F32");
  EXPECT_EQ(Checkpoint(SharedPath("data/models/stories260K")).config().vocab_size, 512);
}

TEST_F(CheckpointTest, WeightsThatChangeAfterOpeningAreRefused) {
  const TemporaryFolder folder;
  WriteTinyCheckpoint(folder.path(), {});
  const Checkpoint checkpoint(folder.path());
  // Another file, for certain: the system's clock of files ticks every few milliseconds.
  std::filesystem::remove(folder.path() / "model.safetensors");
  WriteTinyCheckpoint(folder.path(), {.seed = 7});
  const std::string changed =
      "model.safetensors: the file was changed while it was in use: run again";
  MatrixF rows(1, checkpoint.config().hidden_size);
  EXPECT_EQ(InputErrorOf(folder.path(), [&] { checkpoint.ReadRows(kEmbeddingName, 0, rows); }),
            changed);
  EXPECT_EQ(InputErrorOf(folder.path(), [&] { checkpoint.ReadVector(kFinalNormName); }), changed);
  EXPECT_EQ(InputErrorOf(folder.path(), [&] { checkpoint.ContentHash(); }), changed);
}

}  // namespace
}  // namespace daq
