//! Going on after a restart: finding each file again, wherever rotation has put it.

use std::path::PathBuf;

use super::super::super::resume::{FilePlace, Resume};
use super::super::super::taker::Taker;
use super::follow::Follow;
use super::known::Known;
use super::{Files, names};

impl Files {
    /// Finds the files of an earlier process again and goes on where it stopped. What was written
    /// of windows whose file is gone stays as it is stored.
    pub(super) fn go_on(&mut self, taker: &mut dyn Taker) {
        let Some(resume) = taker.resume().cloned() else { return };
        self.first = false;
        self.known = Known::stored(resume.known.as_deref().unwrap_or_default());
        for (index, place) in resume.files.iter().enumerate() {
            match self.find(place, resume.from(index)) {
                Some(mut follow) => {
                    let windows = resume.windows.iter().filter(|(_, file, _)| *file == index);
                    let slow_from = resume.slow_from(index);
                    let begins = windows.clone().map(|(start, _, from)| (*from, *start));
                    follow.go_on(place.to, slow_from, begins);
                    // Until they are read again they are where to go on from, should we end now.
                    for (start_s, _, from) in windows {
                        taker.oldest().remember(*start_s, follow.id, *from);
                    }
                    if slow_from < place.to {
                        taker.oldest().note_slow(follow.id, slow_from);
                    }
                    place.path.clone_into(&mut follow.base);
                    self.follows.push(follow);
                }
                // Nothing was ever seen of it.
                None if place.head_bytes == 0 => {}
                None => gone(place, &resume, index, taker),
            }
        }
        // Before anything newer is read, so that all find their windows open.
        self.first = resume.known.is_none();
        for (path, base) in self.look_around(false) {
            self.add(&path, &base, taker);
        }
        self.first = false;
    }

    fn find(&self, place: &FilePlace, from: u64) -> Option<Follow> {
        let mut candidates = vec![place.path.clone()];
        candidates.extend(names::siblings(&place.path));
        let matching = names::matching(&self.pattern).unwrap_or_default();
        candidates.extend(matching.into_iter().map(|(path, _)| path));
        let open = |path: &PathBuf| Follow::open(path, from).ok();
        let fits = |follow: &Follow| {
            let taken = self.follows.iter().any(|known| known.id == follow.id);
            // Of what had no bytes only its number is known.
            !taken
                && follow.size().is_none_or(|size| size >= place.to)
                && (place.head_bytes > 0 || follow.id == place.id)
                && follow.digest(place.head_bytes).is_some_and(|digest| digest == place.digest)
        };
        let found: Vec<Follow> = candidates.iter().filter_map(open).filter(fits).collect();
        let same = found.iter().position(|follow| follow.id == place.id);
        found.into_iter().nth(same.unwrap_or(0))
    }
}

/// A file of which lines were counted is not to be found.
fn gone(place: &FilePlace, resume: &Resume, index: usize, taker: &mut dyn Taker) {
    taker.handle_unsure();
    taker.freeze(&mut resume.windows_of(index));
    tracing::warn!(
        "{} is not what it was when it was read last, and no copy of it is there: lines written \
         since may be lost",
        place.path.display()
    );
}
