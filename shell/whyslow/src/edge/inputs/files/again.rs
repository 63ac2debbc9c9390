//! Going on after a restart: finding each file again, wherever rotation has put it.

use std::path::PathBuf;

use super::super::super::resume::{FilePlace, Resume};
use super::super::super::worker::Worker;
use super::follow::Follow;
use super::{Files, names};

impl Files {
    /// Finds the files of an earlier process again and goes on where it stopped. What was written
    /// of windows whose file is gone stays as it is stored.
    pub(super) fn go_on(&mut self, worker: &mut Worker) {
        let Some(resume) = worker.resume().cloned() else { return };
        self.first = false;
        let mut renamed = Vec::new();
        for (index, place) in resume.files.iter().enumerate() {
            match self.find(place, resume.from(index)) {
                Some(mut follow) => {
                    let windows = resume.windows.iter().filter(|(_, file, _)| *file == index);
                    follow.go_on(place.to, windows.clone().map(|(start, _, from)| (*from, *start)));
                    // Until they are read again they are where to go on from, should we end now.
                    for (start_s, _, from) in windows {
                        worker.oldest().remember(*start_s, follow.id, *from);
                    }
                    place.path.clone_into(&mut follow.base);
                    follow.peek(worker);
                    let name = follow.path.clone();
                    self.follows.push(follow);
                    if name != place.path {
                        renamed.push((&place.path, name));
                    }
                }
                None if place.to == 0 => {}
                None => gone(place, &resume, index, worker),
            }
        }
        // Only now, when all that is known has been found.
        for (base, name) in renamed {
            self.add_newer(base, &name, worker);
        }
        // What else is there under rotated names was there before, or is told of above.
        let around = resume.files.iter().flat_map(|place| names::siblings(&place.path));
        self.old = around.filter_map(|path| names::id(&path).ok()).collect();
    }

    fn find(&self, place: &FilePlace, from: u64) -> Option<Follow> {
        let mut candidates = vec![place.path.clone()];
        candidates.extend(names::siblings(&place.path));
        let matching = names::matching(&self.pattern).unwrap_or_default();
        candidates.extend(matching.into_iter().map(|(path, _)| path));
        let open = |path: &PathBuf| Follow::open(path, from).ok();
        let fits = |follow: &Follow| {
            let taken = self.follows.iter().any(|known| known.id == follow.id);
            !taken
                && follow.size() >= place.to
                && follow.digest(place.head_bytes).is_some_and(|digest| digest == place.digest)
        };
        let found: Vec<Follow> = candidates.iter().filter_map(open).filter(fits).collect();
        let same = found.iter().position(|follow| follow.id == place.id);
        found.into_iter().nth(same.unwrap_or(0))
    }
}

/// A file of which lines were counted is not to be found.
fn gone(place: &FilePlace, resume: &Resume, index: usize, worker: &mut Worker) {
    worker.count(|t| t.unsure += 1);
    worker.freeze(resume.windows_of(index));
    tracing::warn!(
        "{} is not what it was when it was read last, and no copy of it is there: lines written \
         since may be lost",
        place.path.display()
    );
}
