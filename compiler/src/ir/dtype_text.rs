//! Dtypes in serialized attributes, by name: `#[serde(with = "crate::ir::dtype_text")]`.

use super::DType;
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// As its name.
pub fn serialize<S: Serializer>(dtype: &DType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(dtype.name())
}

/// From its name.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DType, D::Error> {
    let name = String::deserialize(deserializer)?;
    DType::from_name(&name).ok_or_else(|| D::Error::custom("an unknown dtype"))
}
