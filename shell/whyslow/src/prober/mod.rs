//! The probe role: runs checks when they are due and carries their conversations out.
