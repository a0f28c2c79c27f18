//! Keys whose values are plain text.

use super::kind::{Kind, Raw};
use super::wrong_value::WrongValue;

/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// Text that is not empty.
pub(super) struct Text;

/// Text, or none where it is empty.
pub(super) struct OptionalText;

impl Kind<String> for Text {
    fn read(&self, raw: &Raw) -> Result<String, WrongValue> {
        OptionalText.read(raw)?.ok_or(WrongValue::EmptyText)
    }

    fn write(&self, value: &String) -> toml::Value {
        toml::Value::String(value.clone())
    }
}

impl Kind<Option<String>> for OptionalText {
    fn read(&self, raw: &Raw) -> Result<Option<String>, WrongValue> {
        let text = raw.text().filter(|text| text.len() <= TEXT_BYTES_MAX);
        let text = text.ok_or(WrongValue::Text { most: TEXT_BYTES_MAX })?;
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }

    fn write(&self, value: &Option<String>) -> toml::Value {
        toml::Value::String(value.clone().unwrap_or_default())
    }
}
