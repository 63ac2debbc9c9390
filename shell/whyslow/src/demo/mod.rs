//! `whyslow demo`: a small shop on loopback, with faults.
