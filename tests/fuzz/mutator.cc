#include "tests/fuzz/mutator.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace daq {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 18;
constexpr std::size_t kMostKeptBytes = std::size_t{1} << 14;
constexpr std::size_t kMostKept = 1000;  // beside the seeds

// What text formats have been broken with: numbers at the edges of types, brackets, quotes,
// escapes, characters that are not.
constexpr std::array<std::string_view, 58> kWords = {"0",
                                                     "-0",
                                                     "-1",
                                                     "1",
                                                     "2",
                                                     "3",
                                                     "65536",
                                                     "2147483647",
                                                     "2147483648",
                                                     "4294967295",
                                                     "4294967296",
                                                     "9223372036854775807",
                                                     "9223372036854775808",
                                                     "-9223372036854775808",
                                                     "-9223372036854775809",
                                                     "18446744073709551615",
                                                     "18446744073709551616",
                                                     "1e999",
                                                     "-1e999",
                                                     "1e-999",
                                                     "1e308",
                                                     "5e-324",
                                                     "0.5",
                                                     "4.0",
                                                     "1e2",
                                                     "NaN",
                                                     "nan",
                                                     "inf",
                                                     "-Infinity",
                                                     "null",
                                                     "true",
                                                     "false",
                                                     "[",
                                                     "]",
                                                     "{",
                                                     "}",
                                                     "[]",
                                                     "{}",
                                                     "\"",
                                                     "\"\"",
                                                     "'",
                                                     ",",
                                                     ":",
                                                     "\n",
                                                     "\r\n",
                                                     "\t",
                                                     " ",
                                                     "#",
                                                     "\\",
                                                     "\\u0000",
                                                     "\\ud800",
                                                     "\\\"",
                                                     "\xEF\xBB\xBF",
                                                     "\xC3\xA9",
                                                     "\xFF",
                                                     "\xE2\x96\x81",
                                                     "\xED\xA0\x80",
                                                     "../"};

// One level of something that nests: JSON, YAML, CBOR.
constexpr std::array<std::string_view, 10> kLevels = {
    "[", "{\"a\":", "[[", "{a: ", "- ", "\x81", "\x9F", "\xA1\x61\x61", "(", "'"};

// Where one integer type ends and another begins.
constexpr std::array<std::uint64_t, 14> kIntegers = {
    0,      1,          2,          7,          127,         128,         255,
    0x7FFF, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, ~0ULL >> 1U, 1ULL << 63U, ~0ULL};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Mutator::Mutator(std::uint64_t seed, std::vector<std::string> corpus,
                 const std::vector<std::string_view>& words)
    : state_(seed), corpus_(std::move(corpus)), words_(kWords.begin(), kWords.end()) {
  DAQ_CHECK(!corpus_.empty(), "mutations start from something");
  seeds_ = corpus_.size();
  // As often as all the general ones together.
  for (std::size_t i = 0; !words.empty() && i < std::max(words.size(), kWords.size()); ++i)
    words_.emplace_back(words[i % words.size()]);
}

// SplitMix64.
std::uint64_t Mutator::Random() {
  state_ += 0x9E3779B97F4A7C15ULL;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31U);
}

std::size_t Mutator::Below(std::size_t count) { return Random() % count; }

std::size_t Mutator::Length() { return 1 + Below(std::size_t{1} << Below(13)); }

std::string_view Mutator::Word() { return words_[Below(words_.size())]; }

// Half of the time a seed: what was kept is many times more.
const std::string& Mutator::Other() {
  return corpus_[Below(Below(2) == 0 ? seeds_ : corpus_.size())];
}

const std::string& Mutator::Next() {
  input_ = Other();
  // One change shows what it does alone, several get past checks that one does not.
  std::size_t changes = 1;
  while (changes < 16 && Below(2) == 0) ++changes;
  for (std::size_t i = 0; i < changes; ++i) Mutate();
  if (input_.size() > kMostBytes) input_.resize(kMostBytes);
  return input_;
}

void Mutator::Keep() {
  if (input_.size() > kMostKeptBytes || corpus_.size() - seeds_ >= kMostKept) return;
  corpus_.push_back(input_);
}

void Mutator::Mutate() {
  switch (Below(16)) {
    case 0:
    case 1:
    case 2:
      return ChangeByte();
    case 3:
      return ChangeInteger();
    case 4:
    case 5:
      return ChangeNumber();
    case 6:
    case 7:
      return Insert(Word());
    case 8:
    case 9:
      return Overwrite(Word());
    case 10:
    case 11:
      return Remove();
    case 12:
      return Double();
    case 13:
      return Splice();
    case 14:
      return input_.resize(Below(input_.size() + 1));
    default:
      // Rare: these inputs are large, and slow to read.
      return Below(64) == 0 ? Nest() : Insert(std::string(1, static_cast<char>(Below(256))));
  }
}

void Mutator::ChangeByte() {
  if (input_.empty()) return;
  char& byte = input_[Below(input_.size())];
  byte = Below(2) == 0 ? static_cast<char>(static_cast<unsigned char>(byte) ^ (1U << Below(8)))
                       : static_cast<char>(Below(256));
}

// A little-endian number of 1, 2, 4 or 8 bytes at any place.
void Mutator::ChangeInteger() {
  const std::size_t bytes = std::size_t{1} << Below(4);
  if (input_.size() < bytes) return;
  char* const place = &input_[Below(input_.size() - bytes + 1)];
  std::uint64_t number = 0;
  std::memcpy(&number, place, bytes);
  number = Below(2) == 0 ? kIntegers[Below(kIntegers.size())] : number + Below(65) - 32;
  std::memcpy(place, &number, bytes);
}

// Another number where digits stand.
void Mutator::ChangeNumber() {
  if (input_.empty()) return;
  const auto from = input_.begin() + static_cast<std::ptrdiff_t>(Below(input_.size()));
  const auto begin = std::find_if(from, input_.end(), IsDigit);
  const auto end = std::find_if_not(begin, input_.end(), IsDigit);
  const std::string number =
      Below(2) == 0 ? words_[Below(32)] : std::to_string(Random() >> (1 + Below(63)));
  input_.replace(begin, end, number);
}

void Mutator::Insert(std::string_view piece) { input_.insert(Below(input_.size() + 1), piece); }

void Mutator::Overwrite(std::string_view piece) {
  const std::size_t at = Below(input_.size() + 1);
  input_.replace(at, std::min(piece.size(), input_.size() - at), piece);
}

void Mutator::Remove() { input_.erase(Below(input_.size() + 1), Length()); }

void Mutator::Double() {
  const std::size_t at = Below(input_.size() + 1);
  const std::string piece = input_.substr(at, Length());
  const std::size_t times = Below(8) == 0 ? 1 + Below(16) : 1;
  for (std::size_t i = 0; i < times; ++i) input_.insert(at, piece);
}

// The beginning of one input and the end of another, or a piece of another in the middle.
void Mutator::Splice() {
  const std::string& other = Other();
  const std::size_t at = Below(input_.size() + 1);
  const std::size_t from = Below(other.size() + 1);
  if (Below(2) == 0)
    input_.replace(at, std::string::npos, other, from);
  else
    input_.insert(at, other, from, Length());
}

void Mutator::Nest() {
  const std::string_view level = kLevels[Below(kLevels.size())];
  const std::size_t levels = std::size_t{1} << Below(18);
  std::string piece;
  for (std::size_t i = 0; i < levels && piece.size() < kMostBytes; ++i) piece.append(level);
  Insert(piece);
}

}  // namespace daq
