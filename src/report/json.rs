//! The report as JSON, for machines; layout in schemas/report.schema.json.

use super::run::RunReport;
use serde_json::Value;

/// The whole report, indented, with a line end.
pub fn render(report: &RunReport) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(report)?;
    text.push('\n');
    Ok(text)
}

/// JSON Schema (2020-12) of the report.
pub fn json_schema() -> Value {
    schemars::schema_for!(RunReport).to_value()
}
