#include "harness/zip_member.h"

#include <fmt/format.h>
#include <zip.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"

namespace daq {
namespace {

using Archive = std::unique_ptr<zip_t, decltype(&zip_discard)>;
using Member = std::unique_ptr<zip_file_t, decltype(&zip_fclose)>;

Archive Open(const std::filesystem::path& path) {
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_RDONLY, &code);
  if (archive != nullptr) return {archive, zip_discard};
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  throw InputError({path.string()}, fmt::format("expected a zip archive: {}", reason));
}

}  // namespace

void UnpackZipMember(const std::filesystem::path& archive_path, const std::string& member_name,
                     const std::filesystem::path& to, std::int64_t max_bytes) {
  const Archive archive = Open(archive_path);
  const Member member(zip_fopen(archive.get(), member_name.c_str(), 0), zip_fclose);
  if (member == nullptr) {
    throw InputError({archive_path.string()},
                     fmt::format("{}: {}", member_name, zip_strerror(archive.get())));
  }
  std::ofstream out(to, std::ios::binary | std::ios::trunc);
  std::vector<char> piece(std::size_t{1} << 18U);
  std::int64_t written = 0;
  while (true) {
    ThrowIfInterrupted();
    const zip_int64_t count = zip_fread(member.get(), piece.data(), piece.size());
    if (count < 0) {
      throw InputError({archive_path.string()},
                       fmt::format("{}: {}", member_name, zip_file_strerror(member.get())));
    }
    if (count == 0) break;
    written += count;
    if (written > max_bytes) {
      throw InputError(
          {archive_path.string()},
          fmt::format("{}: expected at most {} bytes, found more", member_name, max_bytes));
    }
    out.write(piece.data(), count);
  }
  if (!out.flush()) throw std::runtime_error(fmt::format("{}: cannot write", to.string()));
}

}  // namespace daq
