//! The `whyslow` command.

use std::process::ExitCode;

use whyslow::prober::sockets;

fn main() -> ExitCode {
    // Before anything else is set up: this child holds a privilege and nothing else.
    if std::env::args_os().nth(1).is_some_and(|first| first == sockets::OPENER) {
        let packet = std::env::args_os().nth(2);
        return match sockets::open_and_pass(packet.as_ref().and_then(|n| n.to_str())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    whyslow::cli::main()
}
