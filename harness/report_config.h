#pragma once
#include <span>
#include <string_view>

#include "harness/experiment.h"
#include "harness/yaml_value.h"

namespace daq {

// Reads a config's `report`. Throws InputError for a key, name or combination that is none.
ReportLayout ReadReportLayout(const YamlValue& value);

// How configs write a field, in the order of the enumeration.
std::string_view NameOf(ReportField field);

// The numbers that a table may show.
std::span<const std::string_view> ReportValues();

}  // namespace daq
