//! The `whyslow` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    whyslow::cli::main()
}
