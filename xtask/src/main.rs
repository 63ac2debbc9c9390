//! The project's own chores: `cargo xtask test`, `tidy`, `bench`, `proof`.

mod bench;
mod browser;
mod fuzz;
mod lab;
mod packages;
mod proof;
mod steps;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  test    everything CI runs: packages, style, unit tests, one short run of each lab scenario
  lab     [NAME…] only the lab scenarios, or those named
  bench   figures beside curl, fping, blackbox_exporter and Prometheus, in one run
  proof   [SECONDS] kills, repeats, a soak, and fuzzing for SECONDS a parser
  fuzz    [SECONDS] [TARGET…] fuzzing for SECONDS a parser, of all or of those named
  tidy    the house rules that no compiler knows
  help    this text
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("test") => test::run(),
        Some("bench") => bench::run(&arguments[1..]),
        Some("proof") => proof::run(&arguments[1..]),
        Some("fuzz") => fuzz::run(&arguments[1..]),
        Some("lab") => lab::run(&arguments[1..]),
        Some("tidy") => tidy::run(),
        Some("help" | "--help" | "-h") | None => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some(other) => {
            eprintln!("error: there is no command '{other}'\n\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}
