//! A dtype attribute as its name: `#[serde(with = "crate::ops::dtype_text")]`.

use onnxc_runtime::element::DType;
use serde::{Deserialize, Deserializer, Serializer};

/// Writes the name.
pub fn serialize<S: Serializer>(dtype: &DType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(dtype.name())
}

/// Reads the name.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DType, D::Error> {
    let name = String::deserialize(deserializer)?;
    DType::from_name(&name).ok_or_else(|| serde::de::Error::custom("an unknown dtype"))
}
