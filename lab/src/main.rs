//! `whyslow-lab list` names the scenarios; `whyslow-lab run NAME` plays one; `whyslow-lab bench`
//! prints figures beside the peers'; `whyslow-lab soak SECONDS` leaves the demo running.
//!
//! Exit: 0 it holds · 1 it does not · 77 it cannot run here, and the last line says why.

use std::process::ExitCode;
use std::time::Duration;

use whyslow_lab::scenario::{Ended, Scenario};
use whyslow_lab::{bench, figure, scenarios, soak};

const USAGE: &str = "whyslow-lab list | run NAME… | bench | soak SECONDS";
/// What test runners commonly read as "skipped".
const SKIPPED: u8 = 77;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((verb, [])) if verb == "list" => {
            for scenario in scenarios::ALL {
                println!("{}\t{}", scenario.name, scenario.proves);
            }
            ExitCode::SUCCESS
        }
        Some((verb, [])) if verb == "bench" => measure(),
        Some((verb, [seconds])) if verb == "soak" => leave_running(seconds),
        Some((verb, names)) if verb == "run" && !names.is_empty() => run(names),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(64)
        }
    }
}

fn run(names: &[String]) -> ExitCode {
    let mut skipped = false;
    for name in names {
        let Some(scenario) = scenarios::ALL.iter().find(|s| s.name == *name) else {
            eprintln!("there is no scenario '{name}'");
            return ExitCode::from(64);
        };
        match play(scenario) {
            Ended::Held => println!("{name}: holds"),
            Ended::Failed(why) => {
                println!("{name}: {why}");
                return ExitCode::FAILURE;
            }
            Ended::Skipped(why) => {
                println!("{why}");
                skipped = true;
            }
        }
    }
    if skipped { ExitCode::from(SKIPPED) } else { ExitCode::SUCCESS }
}

fn leave_running(seconds: &str) -> ExitCode {
    let Ok(seconds) = seconds.parse() else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    match soak::run(Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> ExitCode {
    let figures = match bench::figures() {
        Ok(figures) => figures,
        Err(e) => {
            eprintln!("error: {e:#}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", figure::HEAD);
    for figure in figures {
        println!("{figure}");
    }
    ExitCode::SUCCESS
}

fn play(scenario: &Scenario) -> Ended {
    if let Some(lack) = scenario.lack() {
        return Ended::Skipped(lack);
    }
    scenario.play().map_or_else(|e| Ended::Failed(format!("{e:#}")), |()| Ended::Held)
}
