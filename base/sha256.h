#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace daq {

// SHA-256 (FIPS 180-4) over bytes given piece by piece; OpenSSL does the work.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::span<const std::byte> bytes);
  void Update(std::string_view text);

  // 64 lower-case hexadecimal digits. Ends the stream: no further Update.
  std::string HexDigest();

  // The digest of what was given so far; the stream goes on.
  std::string HexDigestSoFar() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string Sha256Hex(std::string_view text);
std::string Sha256Hex(std::span<const std::byte> bytes);

}  // namespace daq
