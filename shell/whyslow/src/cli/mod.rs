//! What can be typed: one file per command.
//!
//! A new command is a file here, its `mod` line, and one line in `commands!`. The file holds a
//! clap `Args` struct, whose doc comment is the command's help, and `run`.

pub mod asn;
pub mod check;
pub mod completions;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod edge;
mod exit;
mod interrupt;
pub mod mark;
mod output;
pub mod progress;
pub mod query;
pub mod render;
pub mod server;
pub mod up;
pub mod wire;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use exit::{Exit, Stop};
pub use output::{Captured, Output};

/// Makes the list of commands: `module => Variant` each, in the order in which help shows them.
macro_rules! commands {
    ($($module:ident => $variant:ident,)*) => {
        /// Every command.
        #[derive(Debug, clap::Subcommand)]
        enum Command {
            $($variant(Box<$module::Args>),)*
        }

        impl Command {
            fn run(self, out: &mut Output) -> Result<Exit, Stop> {
                match self {
                    $(Self::$variant(args) => $module::run(&args, out),)*
                }
            }
        }
    };
}

commands! {
    check => Check,
    up => Up,
    demo => Demo,
    config => Config,
    asn => Asn,
    query => Query,
    mark => Mark,
    edge => Edge,
    wire => Wire,
    doctor => Doctor,
    completions => Completions,
}

/// Finds where a web service is slow, and shows the proof.
#[derive(Debug, Parser)]
#[command(name = "whyslow", version, max_term_width = 100, after_help = EXITS)]
struct Typed {
    /// Says nothing but results and errors.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Leaves colours out, as NO_COLOR does.
    #[arg(long, global = true)]
    no_color: bool,
    #[command(subcommand)]
    command: Command,
}

const EXITS: &str = "Exit status: 0 ok, 1 degraded, 2 failed, 3 unknown; \
                     64 usage, 66 input unreadable, 78 bad configuration.";

/// Runs the process's own command line.
pub fn main() -> ExitCode {
    run_line(std::env::args_os(), &mut Output::of_process()).into()
}

/// Runs one command line, program name first, and says how it ended.
pub fn run_line(line: impl IntoIterator<Item = OsString>, out: &mut Output) -> Exit {
    let typed = match Typed::try_parse_from(line) {
        Ok(typed) => typed,
        Err(refused) => return answer_refused(&refused, out),
    };
    if typed.no_color {
        out.without_colour();
    }
    if typed.quiet {
        out.silence_notes();
    }
    let ended = typed.command.run(out).and_then(|exit| {
        out.flush()?;
        Ok(exit)
    });
    match ended {
        Ok(exit) => exit,
        Err(stop) => out.explain(&stop),
    }
}

/// The whole command line as clap knows it, for help, completions and documentation.
pub fn command() -> clap::Command {
    Typed::command()
}

/// Help and version are results; everything else clap refuses is a usage error.
fn answer_refused(refused: &clap::Error, out: &mut Output) -> Exit {
    let text = refused.render().ansi().to_string();
    if refused.use_stderr() {
        out.note_always(text.trim_end());
        return Exit::Usage;
    }
    match out.line(text.trim_end()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Ok,
        Err(stop) => out.explain(&stop.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> (Exit, String, String) {
        let (mut out, written) = Output::captured();
        let exit = run_line(line.split_whitespace().map(OsString::from), &mut out);
        drop(out);
        let (stdout, stderr) = written.texts();
        (exit, stdout, stderr)
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn help_is_a_result_and_every_command_is_in_it() {
        let (exit, stdout, stderr) = typed("whyslow --help");
        assert_eq!((exit, stderr.as_str()), (Exit::Ok, ""));
        for sub in command().get_subcommands() {
            assert!(sub.get_about().is_some(), "{} has no help", sub.get_name());
            assert!(stdout.contains(sub.get_name()), "{stdout}");
        }
    }

    #[test]
    fn an_unknown_command_is_a_usage_error_on_stderr() {
        let (exit, stdout, stderr) = typed("whyslow chekc");
        assert_eq!((exit, stdout.as_str()), (Exit::Usage, ""));
        assert!(stderr.contains("chekc"), "{stderr}");
    }
}
