//! What only the whole configuration can tell: names that point at each other, limits that
//! contradict, secrets that are not there. One file per part.

mod checks;
mod edge;
mod links;
mod listener;
mod names;
mod storage;
mod triggers;
mod wire;

use whyslow_model::limits::CONFIG_PROBLEMS_MAX;

use super::node::{Node, Step};
use super::problem::Problem;
use super::types::Config;
use super::world::World;

/// Where the values stand: in what was written, and in what was kept of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'a> {
    /// All that was written; key paths are told from it.
    pub(super) whole: &'a Node,
    /// What the values were made from; indices agree with it.
    pub(super) kept: &'a Node,
}

/// One part's rules.
type Rule = fn(&Config, &World<'_>, &mut Findings<'_, '_>);

const ALL: [Rule; 8] = [
    names::apply,
    checks::apply,
    listener::apply,
    storage::apply,
    edge::apply,
    links::apply,
    wire::apply,
    triggers::apply,
];

/// Applies every rule.
pub(super) fn apply(
    config: &Config,
    places: &Places<'_>,
    world: &World<'_>,
    problems: &mut Vec<Problem>,
) {
    let mut findings = Findings { places: *places, problems };
    for rule in ALL {
        rule(config, world, &mut findings);
    }
}

/// Takes down what the rules find.
pub(super) struct Findings<'a, 'p> {
    places: Places<'a>,
    problems: &'p mut Vec<Problem>,
}

impl Findings<'_, '_> {
    /// Something is wrong with the value at `steps`.
    pub(super) fn add(&mut self, steps: &[Step<'_>], what: impl Into<String>) -> &mut Problem {
        let at = self.places.kept.place(steps);
        self.push(at, what)
    }

    /// Something is wrong with the key that `steps` ends in.
    pub(super) fn add_key(&mut self, steps: &[Step<'_>], what: impl Into<String>) -> &mut Problem {
        let at = self.places.kept.key_place(steps);
        self.push(at, what)
    }

    /// How many were found.
    pub(super) const fn len(&self) -> usize {
        self.problems.len()
    }

    fn push(&mut self, at: super::problem::At, what: impl Into<String>) -> &mut Problem {
        // Finding a key path costs a walk; what is only counted needs none.
        let told = self.problems.len() < CONFIG_PROBLEMS_MAX;
        let path = told.then(|| self.places.whole.path_to(at)).flatten().unwrap_or_default();
        let index = self.problems.len();
        self.problems.push(Problem::new(at, path, what));
        &mut self.problems[index]
    }
}
