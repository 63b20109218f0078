// Damaged checkpoints: whatever the bytes, a checkpoint is read or refused by an InputError.
#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/python_random.h"
#include "eval/checkpoint.h"
#include "tests/support/input_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

// Opens a checkpoint and reads all of it. Any exception but InputError passes and fails the test.
bool Reads(const fs::path& folder) {
  try {
    const Checkpoint checkpoint(folder);
    const ModelConfig& config = checkpoint.config();
    MatrixF rows(config.vocab_size, config.hidden_size);
    checkpoint.ReadRows(kEmbeddingName, 0, rows);
    checkpoint.ReadRows(checkpoint.head_name(), 0, rows);
    MatrixF query(config.query_size(), config.hidden_size);
    for (Index layer = 0; layer < config.num_layers; ++layer) {
      checkpoint.ReadRows("model.layers." + std::to_string(layer) + ".self_attn.q_proj.weight", 0,
                          query);
    }
    checkpoint.ReadVector(kFinalNormName);
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()), "");
    return false;
  }
  return true;
}

class CheckpointCorruptionTest : public testing::Test {
 protected:
  CheckpointCorruptionTest() {
    WriteTinyCheckpoint(folder_.path(), {.num_layers = 1, .vocab_size = 16});
    weights_ = ReadFile(folder_.path() / "model.safetensors");
    std::uint64_t length = 0;
    std::memcpy(&length, weights_.data(), sizeof(length));
    header_end_ = 8 + static_cast<std::size_t>(length);
  }
  bool ReadsWith(const std::string& file, const std::string& content) const {
    WriteText(folder_.path(), file, content);
    return Reads(folder_.path());
  }
  static std::size_t Below(PythonRandom* random, std::size_t count) {
    return static_cast<std::size_t>(random->RandInt(0, static_cast<std::int64_t>(count) - 1));
  }

  const TemporaryFolder folder_;
  std::string weights_;
  std::size_t header_end_ = 0;
};

TEST_F(CheckpointCorruptionTest, SoundFilesAreRead) { EXPECT_TRUE(Reads(folder_.path())); }

TEST_F(CheckpointCorruptionTest, EveryTruncationIsRefused) {
  for (std::size_t size = 0; size < weights_.size(); size += size < header_end_ ? 7 : 501) {
    EXPECT_FALSE(ReadsWith("model.safetensors", weights_.substr(0, size))) << size;
  }
  EXPECT_FALSE(ReadsWith("model.safetensors", weights_.substr(0, weights_.size() - 1)));
  EXPECT_FALSE(ReadsWith("model.safetensors", weights_ + '\0'));
  EXPECT_EQ(InputErrorOf(folder_.path(),
                         [&] {
                           WriteText(folder_.path(), "model.safetensors", weights_.substr(0, 1000));
                           const Checkpoint checkpoint(folder_.path());
                         }),
            "model.safetensors: header: expected at most the 992 bytes that follow its length, "
            "found a length of " +
                std::to_string(header_end_ - 8) + ": the file is cut short or not safetensors");
}

TEST_F(CheckpointCorruptionTest, ForeignFilesAreRefused) {
  EXPECT_FALSE(ReadsWith("model.safetensors",
                         "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"));
  EXPECT_FALSE(ReadsWith("model.safetensors", std::string(5000, '\0')));
  EXPECT_FALSE(ReadsWith("model.safetensors", std::string(5000, '{')));
}

TEST_F(CheckpointCorruptionTest, FlippedHeaderBytesNeverDoAnythingElseThanThrow) {
  PythonRandom random(1);
  int read = 0;
  for (int round = 0; round < 400; ++round) {
    std::string damaged = weights_;
    for (std::size_t flips = 1 + Below(&random, 3); flips > 0; --flips) {
      damaged[Below(&random, header_end_)] = static_cast<char>(Below(&random, 256));
    }
    if (ReadsWith("model.safetensors", damaged)) ++read;
  }
  // A flip inside white space or the metadata leaves a sound file; most flips do not.
  EXPECT_LT(read, 100);
}

TEST_F(CheckpointCorruptionTest, DigitsChangedInTheHeaderNeverDoAnythingElseThanThrow) {
  // Numbers stay numbers, so these reach the checks of sizes and offsets, which random bytes seldom
  // do.
  PythonRandom random(2);
  std::vector<std::size_t> digits;
  for (std::size_t i = 8; i < header_end_; ++i) {
    if (weights_[i] >= '0' && weights_[i] <= '9') digits.push_back(i);
  }
  for (int round = 0; round < 400; ++round) {
    std::string damaged = weights_;
    const std::size_t at = digits[Below(&random, digits.size())];
    if (round % 2 == 0) {
      damaged[at] = static_cast<char>('0' + Below(&random, 10));
    } else {
      damaged.replace(at, 1, std::string(1 + Below(&random, 25), '9'));
      std::uint64_t length = damaged.size() - weights_.size() + header_end_ - 8;
      std::memcpy(damaged.data(), &length, sizeof(length));
    }
    ReadsWith("model.safetensors", damaged);
  }
}

TEST_F(CheckpointCorruptionTest, FlippedConfigBytesNeverDoAnythingElseThanThrow) {
  PythonRandom random(3);
  const std::string config = ReadFile(folder_.path() / "config.json");
  for (int round = 0; round < 400; ++round) {
    std::string damaged = config;
    damaged[Below(&random, config.size())] = static_cast<char>(Below(&random, 256));
    ReadsWith("config.json", damaged);
  }
}

TEST_F(CheckpointCorruptionTest, FlippedIndexBytesNeverDoAnythingElseThanThrow) {
  PythonRandom random(4);
  fs::remove(folder_.path() / "model.safetensors");
  WriteTinyCheckpoint(folder_.path(), {.num_layers = 1, .vocab_size = 16, .shards = 3});
  ASSERT_TRUE(Reads(folder_.path()));
  const std::string index = ReadFile(folder_.path() / "model.safetensors.index.json");
  for (int round = 0; round < 300; ++round) {
    std::string damaged = index;
    damaged[Below(&random, index.size())] = static_cast<char>(Below(&random, 256));
    ReadsWith("model.safetensors.index.json", damaged);
  }
}

TEST_F(CheckpointCorruptionTest, WeightsOfAllOnesAreRefused) {
  // Every byte 0xff is a NaN in each float type.
  const std::string data(weights_.size() - header_end_, '\xff');
  EXPECT_FALSE(ReadsWith("model.safetensors", weights_.substr(0, header_end_) + data));
}

}  // namespace
}  // namespace daq
