#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace daq {

// Makes wrong inputs out of right ones: flips bits, puts in, takes out, doubles and cuts pieces,
// joins two inputs, writes hostile numbers and words, nests deeply. The same seed gives the same
// inputs on any machine.
class Mutator {
 public:
  // `corpus`: one input or more. `words`: of the format, beside those of all text formats.
  Mutator(std::uint64_t seed, std::vector<std::string> corpus,
          const std::vector<std::string_view>& words);

  // The next input, valid until the next call.
  const std::string& Next();

  // Adds the last input to those that mutations start from, because it did something new. Large
  // inputs are left out, and others once there are many.
  void Keep();

 private:
  std::uint64_t Random();
  std::size_t Below(std::size_t count);  // count >= 1
  std::size_t Length();                  // 1 .. 4096, small ones most often
  std::string_view Word();
  const std::string& Other();

  void Mutate();
  void ChangeByte();
  void ChangeInteger();
  void ChangeNumber();
  void Insert(std::string_view piece);
  void Overwrite(std::string_view piece);
  void Remove();
  void Double();
  void Splice();
  void Nest();

  std::uint64_t state_;
  std::vector<std::string> corpus_;
  std::vector<std::string> words_;
  std::size_t seeds_;
  std::string input_;
};

}  // namespace daq
