//! What generated code calls: one file per family.
