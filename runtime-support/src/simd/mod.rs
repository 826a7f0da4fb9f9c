//! The vector vocabulary.
