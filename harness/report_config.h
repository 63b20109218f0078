#pragma once
#include <string_view>
#include <vector>

#include "harness/experiment.h"
#include "harness/yaml_value.h"

namespace daq {

// Reads a config's `report`. Throws InputError for a key, name or combination that is none.
ReportLayout ReadReportLayout(const YamlValue& value);

// Throws InputError for a number that no result of the experiment can have, with what it needs.
void RequireValues(const ReportLayout& layout, const std::vector<Experiment>& points);

// How configs write a field, in the order of the enumeration.
std::string_view NameOf(ReportField field);

}  // namespace daq
