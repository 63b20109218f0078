#include <algorithm>
#include <array>
#include <limits>
#include <set>
#include <string_view>

#include "harness/datasets.h"
#include "harness/yaml_reader.h"
#include "harness/yaml_value.h"

namespace daq {

// configs/datasets.yaml; CMake writes its definition into the build folder.
std::string DatasetsYaml();

namespace {

std::string Sha256Of(YamlMap& map) {
  const auto value = map.Find("sha256");
  if (!value) return {};
  const std::string& digest = value->Text("64 lower-case hexadecimal digits");
  constexpr std::size_t kDigits = 64;
  if (digest.size() != kDigits ||
      digest.find_first_not_of("0123456789abcdef") != std::string::npos) {
    value->Refuse("64 lower-case hexadecimal digits");
  }
  return digest;
}

std::int64_t BytesOf(YamlMap& map) {
  const auto value = map.Find("bytes");
  return value ? value->Integer(1, std::numeric_limits<std::int64_t>::max()) : 0;
}

std::string UrlOf(YamlMap& map) {
  const YamlValue value = map.Get("url", "an http or https address");
  const std::string& url = value.Text("an http or https address");
  if (!url.starts_with("https://") && !url.starts_with("http://"))
    value.Refuse("an http or https address");
  return url;
}

// Text that names a file below a folder and nothing outside it.
std::string PathBelow(const YamlValue& value) {
  constexpr std::string_view kExpected = "a relative path with no \"..\"";
  const std::string& text = value.Text(kExpected);
  const std::filesystem::path path(text);
  const bool leaves = std::find(path.begin(), path.end(), "..") != path.end();
  if (path.is_absolute() || leaves || !path.has_filename()) value.Refuse(kExpected);
  return text;
}

// Calls `read` for each child of a map whose keys are names, with the name and the value.
template <typename Read>
void ForEachNamed(const YamlValue& value, std::string_view expected, const Read& read) {
  std::vector<std::string_view> names;
  for (const YamlNode& child : value.node().children) names.emplace_back(child.key);
  YamlMap map(value, expected, names);
  for (const std::string_view name : names) read(std::string(name), map.Get(name, expected));
}

DownloadSource ReadArchive(const std::string& name, const YamlValue& value) {
  constexpr std::array<std::string_view, 3> kKeys = {"url", "bytes", "sha256"};
  // The name becomes a file's.
  if (name.find('/') != std::string::npos || name == "..")
    value.Refuse("an archive named by a file name");
  YamlMap map(value, "an archive: url, bytes, sha256", kKeys);
  return {.name = name, .url = UrlOf(map), .sha256 = Sha256Of(map), .bytes = BytesOf(map)};
}

// `paths` are those of the files read so far: no two files may lie in one place.
DatasetFile ReadFileEntry(const std::string& name, const YamlValue& value, const Dataset& dataset,
                          std::set<std::string>& paths) {
  constexpr std::array<std::string_view, 6> kKeys = {"path", "bytes",   "sha256",
                                                     "url",  "archive", "member"};
  YamlMap map(value, "a file: path, bytes, sha256 and url, or archive and member", kKeys);
  DatasetFile file;
  file.name = name;
  const YamlValue path = map.Get("path", "a path below the data folder");
  file.path = PathBelow(path);
  if (!paths.insert(file.path).second) path.Refuse("a path that no other file has");
  file.sha256 = Sha256Of(map);
  file.bytes = BytesOf(map);
  if (const auto archive = map.Find("archive")) {
    std::vector<std::string_view> names;
    for (const DownloadSource& source : dataset.archives) names.emplace_back(source.name);
    file.archive = archive->Name(names);
    file.member =
        map.Get("member", "the file's name in the archive").Text("the file's name in the archive");
  } else {
    file.url = UrlOf(map);
  }
  map.Finish("beside the others: a file has a url, or an archive and member");
  return file;
}

Dataset ReadDataset(const std::string& name, const YamlValue& value, std::set<std::string>& paths) {
  constexpr std::array<std::string_view, 5> kKeys = {"title", "licence", "homepage", "archives",
                                                     "files"};
  YamlMap map(value, "a dataset: title, licence, homepage, archives, files", kKeys);
  Dataset dataset;
  dataset.name = name;
  dataset.title = map.Get("title", "text").Text("text");
  dataset.licence = map.Get("licence", "text").Text("text");
  dataset.homepage = map.Get("homepage", "an address").Text("an address");
  if (const auto archives = map.Find("archives")) {
    ForEachNamed(*archives, "archives by name",
                 [&](const std::string& archive, const YamlValue& entry) {
                   dataset.archives.push_back(ReadArchive(archive, entry));
                 });
  }
  ForEachNamed(map.Get("files", "files by name"), "files by name",
               [&](const std::string& file, const YamlValue& entry) {
                 dataset.files.push_back(ReadFileEntry(file, entry, dataset, paths));
               });
  return dataset;
}

}  // namespace

DatasetTable ReadDatasetTable(const std::string& yaml, const std::string& file) {
  const YamlDocument document = ParseYaml(yaml, file);
  DatasetTable table;
  std::set<std::string> paths;
  ForEachNamed(YamlValue(document), "datasets by name",
               [&](const std::string& name, const YamlValue& value) {
                 table.datasets.push_back(ReadDataset(name, value, paths));
               });
  return table;
}

const DatasetTable& Datasets() {
  static const DatasetTable table = ReadDatasetTable(DatasetsYaml(), "configs/datasets.yaml");
  return table;
}

}  // namespace daq
