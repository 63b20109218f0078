#include "eval/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>

#include "tests/support/input_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

class SafetensorsTest : public testing::Test {
 protected:
  std::string Error() const {
    return InputErrorOf(folder_.path(), [&] { const SafetensorsFile file(path_); });
  }
  std::string Error(const std::string& header, const std::string& data) const {
    WriteRawSafetensors(path_, header, data);
    return Error();
  }
  // A file whose length field says `length` whatever follows.
  std::string ErrorForLength(std::uint64_t length, const std::string& rest) const {
    std::string content(sizeof(length), '\0');
    std::memcpy(content.data(), &length, sizeof(length));
    WriteText(folder_.path(), "a.safetensors", content + rest);
    return Error();
  }

  const TemporaryFolder folder_;
  const std::filesystem::path path_ = folder_.path() / "a.safetensors";
};

TEST_F(SafetensorsTest, FindsTensorsWhereTheyLie) {
  const std::string header =
      R"({"__metadata__": {"format": "pt"}, "b": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
          "a": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [8, 20]}, "none": {"dtype": "F32", "shape": [4, 0], "data_offsets": [20, 20]}})";
  WriteRawSafetensors(path_, header, std::string(20, 'x'));
  const SafetensorsFile file(path_);
  ASSERT_EQ(file.tensors().size(), 3U);
  const StoredTensor& a = file.tensors().at("a");
  EXPECT_EQ(a.dtype, "BF16");
  EXPECT_EQ(a.shape, (std::vector<Index>{2, 3}));
  EXPECT_EQ(a.begin, 8 + header.size() + 8);
  EXPECT_EQ(a.end, 8 + header.size() + 20);
  EXPECT_EQ(file.tensors().at("b").shape, std::vector<Index>{});
  EXPECT_EQ(file.tensors().at("none").begin, file.bytes().size());
}

TEST_F(SafetensorsTest, AFileWithoutTensorsIsAllowed) { EXPECT_EQ(Error("{}", ""), "no error"); }

TEST_F(SafetensorsTest, HeadersThatCannotBeAreRefused) {
  WriteText(folder_.path(), "a.safetensors", "");
  EXPECT_EQ(Error(), "a.safetensors: the file is empty");
  WriteText(folder_.path(), "a.safetensors", "1234567");
  EXPECT_EQ(Error(),
            "a.safetensors: header: expected a length of 8 bytes, found a file of 7 bytes");
  EXPECT_EQ(ErrorForLength(3, "{}"),
            "a.safetensors: header: expected at most the 2 bytes that follow its length, found a "
            "length of 3: the file is cut short or "
            "not safetensors");
  EXPECT_EQ(ErrorForLength(100'000'001, "{}"),
            "a.safetensors: header: expected at most 100000000 bytes, found a length of 100000001");
  EXPECT_EQ(ErrorForLength(std::numeric_limits<std::uint64_t>::max(), "{}"),
            "a.safetensors: header: expected at most 100000000 bytes, found a length of "
            "18446744073709551615");
  EXPECT_EQ(ErrorForLength(0, "{}"),
            "a.safetensors: header: expected a JSON object, found something else: the file is "
            "damaged or not safetensors");
  EXPECT_EQ(Error(" {}", ""),
            "a.safetensors: header: expected a JSON object, found something else: the file is "
            "damaged or not safetensors");
  EXPECT_EQ(Error("{\"a\": ", ""),
            "a.safetensors:1: not JSON: syntax error while parsing value - unexpected end of "
            "input; expected '[', '{', or a literal");
}

TEST_F(SafetensorsTest, EntriesAreChecked) {
  EXPECT_EQ(Error(R"({"a": 1})", ""), "a.safetensors: a: expected an object, found 1");
  EXPECT_EQ(Error(R"({"a": {"shape": [1], "data_offsets": [0, 4]}})", "1234"),
            "a.safetensors: a.dtype: expected a string, found nothing");
  EXPECT_EQ(Error(R"({"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}})", "1234"),
            "a.safetensors: a.dtype: expected a type of the safetensors format, found \"F33\"");
  EXPECT_EQ(Error(R"({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}})", "1234"),
            "a.safetensors: a.shape: expected a list of sizes, found [-1]");
  EXPECT_EQ(Error(R"({"a": {"dtype": "F32", "shape": [1.0], "data_offsets": [0, 4]}})", "1234"),
            "a.safetensors: a.shape: expected a list of sizes, found [1.0]");
  EXPECT_EQ(Error(R"({"a": {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}})", "1234"),
            "a.safetensors: a.shape: expected a list of sizes, found 1");
  EXPECT_EQ(Error(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0]}})", "1234"),
            "a.safetensors: a.data_offsets: expected [begin, end] with begin <= end, found [0]");
  EXPECT_EQ(Error(R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}})", "1234"),
            "a.safetensors: a.data_offsets: expected [begin, end] with begin <= end, found [4,0]");
  EXPECT_EQ(
      Error(
          R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})",
          "1234"),
      "a.safetensors:1: a: expected a key once, found it twice");
}

TEST_F(SafetensorsTest, SizesMustFitTheFileAndEachOther) {
  EXPECT_EQ(Error(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})", "1234"),
            "a.safetensors: a.data_offsets: expected an end within the file's 4 bytes of data (is "
            "the file cut short?), found [0,8]");
  EXPECT_EQ(Error(R"({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}})", "1234"),
            "a.safetensors: a.data_offsets: expected 8 bytes for F32 [2], found [0,4]");
  // 2^32 * 2^32 * 32 bits wraps to 0 in 64 bits.
  EXPECT_EQ(
      Error(R"({"a": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 0]}})",
            ""),
      "a.safetensors: a.shape: expected a size that fits memory, found [4294967296,4294967296]");
  EXPECT_EQ(
      Error(R"({"a": {"dtype": "F32", "shape": [9223372036854775808], "data_offsets": [0, 0]}})",
            ""),
      "a.safetensors: a.shape: expected a list of sizes, found [9223372036854775808]");
  EXPECT_EQ(Error(R"({"a": {"dtype": "F4", "shape": [3], "data_offsets": [0, 1]}})", "1"),
            "a.safetensors: a.shape: expected a size that fits memory, found [3]");
}

TEST_F(SafetensorsTest, OverlapsAndHolesAreRefused) {
  EXPECT_EQ(
      Error(
          R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}, "b": {"dtype": "U8", "shape": [3], "data_offsets": [3, 6]}})",
          "123456"),
      "a.safetensors: b: expected data from offset 4, where the tensor before it ends, found an "
      "overlap: data from offset 3");
  EXPECT_EQ(
      Error(
          R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}, "b": {"dtype": "U8", "shape": [1], "data_offsets": [5, 6]}})",
          "123456"),
      "a.safetensors: b: expected data from offset 4, where the tensor before it ends, found a "
      "hole: data from offset 5");
  EXPECT_EQ(Error(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}})", "123456"),
            "a.safetensors: header: expected tensors that fill the 6 bytes of data, found 4 bytes "
            "in use");
}

TEST_F(SafetensorsTest, PrefetchAndReleaseKeepTheContent) {
  const std::string data(100000, 'x');
  WriteRawSafetensors(
      path_, R"({"a": {"dtype": "U8", "shape": [100000], "data_offsets": [0, 100000]}})", data);
  const SafetensorsFile file(path_);
  const StoredTensor& a = file.tensors().at("a");
  const auto part = file.bytes().subspan(a.begin, a.end - a.begin);
  file.Prefetch(part);
  file.Release(part);
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(part.data()), part.size()), data);
}

}  // namespace
}  // namespace daq
