//! What must hold between the crates, on every machine.

mod corpora;
