#include "base/sha256.h"

#include <gtest/gtest.h>

namespace daq {
namespace {

// The examples of FIPS 180-4.
TEST(Sha256Test, MatchesTheStandardsExamples) {
  EXPECT_EQ(Sha256Hex(std::string_view("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256Hex(std::string_view("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Sha256Test, PiecesGiveTheSameAsTheWhole) {
  Sha256 hash;
  hash.Update("a");
  hash.Update("");
  hash.Update("bc");
  EXPECT_EQ(hash.HexDigest(), Sha256Hex(std::string_view("abc")));
}

TEST(Sha256Test, ADigestSoFarLeavesTheStreamAsItIs) {
  Sha256 hash;
  EXPECT_EQ(hash.HexDigestSoFar(), Sha256Hex(std::string_view("")));
  hash.Update("a");
  EXPECT_EQ(hash.HexDigestSoFar(), Sha256Hex(std::string_view("a")));
  EXPECT_EQ(hash.HexDigestSoFar(), Sha256Hex(std::string_view("a")));
  hash.Update("bc");
  EXPECT_EQ(hash.HexDigest(), Sha256Hex(std::string_view("abc")));
}

}  // namespace
}  // namespace daq
