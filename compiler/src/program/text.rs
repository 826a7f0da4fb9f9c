//! Programs as text (`--dump lower`).
