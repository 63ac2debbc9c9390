//! What a scenario is, and what it needs of the machine.

use std::path::Path;

use anyhow::Result;

use crate::world::World;

/// One world and what must hold in it.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it proves, in half a sentence.
    pub proves: &'static str,
    /// What the machine must have.
    pub needs: &'static [Need],
    /// Plays it.
    pub run: fn(&World) -> Result<()>,
}

/// Something a machine may lack.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A program, by the file the Debian package installs.
    Program(&'static str),
    /// User id 0, for namespaces, mounts and firewalls.
    Root,
}

/// How a scenario ended.
#[derive(Debug)]
pub enum Ended {
    /// All of it holds.
    Held,
    /// It could not be played here, and why.
    Skipped(String),
    /// Something does not hold.
    Failed(String),
}

impl Scenario {
    /// What the machine lacks to play this, if anything.
    pub fn lack(&self) -> Option<String> {
        self.needs.iter().find_map(|need| match need {
            Need::Program(file) if !Path::new(file).exists() => Some(format!("{file} is missing")),
            Need::Root if !is_root() => Some("needs root".to_owned()),
            Need::Program(_) | Need::Root => None,
        })
    }

    /// Plays it in a world of its own, which is gone afterwards. A failure keeps the world's
    /// directory and names it.
    ///
    /// # Errors
    /// Where something does not hold, or the world cannot be built.
    pub fn play(&self) -> Result<()> {
        let world = World::new(self.name)?;
        match (self.run)(&world) {
            Ok(()) => Ok(()),
            Err(e) => {
                let kept = world.keep();
                Err(e.context(format!("its files are kept in {}", kept.display())))
            }
        }
    }
}

fn is_root() -> bool {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return false };
    let uid = status.lines().find(|l| l.starts_with("Uid:"));
    uid.and_then(|l| l.split_whitespace().nth(2)) == Some("0")
}
