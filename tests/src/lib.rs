//! Runners of the tests that cross rooms and crates.
