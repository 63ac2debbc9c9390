//! From paths to routes: the operator's globs first, automatic templates for the rest.
//!
//! A glob is matched by segment: `*` stands for any run of characters without a slash, `**` for
//! any run at all, everything else for itself. The first glob that matches names the route. A
//! path that none matches becomes a template: its segments that look like identifiers (digits,
//! UUIDs, hex, long tokens) are written `:id`.

use std::sync::Arc;

use whyslow_model::limits::{
    EDGE_PATHS_CACHED_MAX, EDGE_ROUTE_BYTES_MAX, EDGE_ROUTE_GLOBS_MAX, EDGE_ROUTE_MATCHED_BYTES_MAX,
};
use whyslow_model::seeded::{Seed, SeededMap};

use crate::names::Names;

mod template;

pub use template::template;

/// The operator's list of globs, checked.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    globs: Arc<[Box<[u8]>]>,
}

/// A list of globs that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRoutes {
    /// A glob is empty, longer than [`EDGE_ROUTE_BYTES_MAX`], or starts with neither `/` nor `*`.
    #[error("route '{0}' must start with '/' or '*' and be at most {EDGE_ROUTE_BYTES_MAX} bytes")]
    Glob(String),
    /// More than [`EDGE_ROUTE_GLOBS_MAX`].
    #[error("{0} routes are more than {EDGE_ROUTE_GLOBS_MAX}")]
    TooMany(usize),
}

impl Routes {
    /// Takes the globs in the order in which they are tried.
    ///
    /// # Errors
    /// [`BadRoutes`].
    pub fn new<T: AsRef<str>>(globs: &[T]) -> Result<Self, BadRoutes> {
        if globs.len() > EDGE_ROUTE_GLOBS_MAX {
            return Err(BadRoutes::TooMany(globs.len()));
        }
        let check = |glob: &T| {
            let glob = glob.as_ref();
            let sound = glob.starts_with(['/', '*']) && glob.len() <= EDGE_ROUTE_BYTES_MAX;
            if sound { Ok(glob.as_bytes().into()) } else { Err(BadRoutes::Glob(glob.to_owned())) }
        };
        Ok(Self { globs: globs.iter().map(check).collect::<Result<_, _>>()? })
    }

    /// The first glob that matches the path, of which the first
    /// [`EDGE_ROUTE_MATCHED_BYTES_MAX`] bytes are looked at.
    fn matching(&self, path: &[u8]) -> Option<&[u8]> {
        let path = &path[..path.len().min(EDGE_ROUTE_MATCHED_BYTES_MAX)];
        self.globs.iter().map(AsRef::as_ref).find(|glob| matches(glob, path))
    }
}

/// Whether a glob matches a whole path. Time grows with the product of both lengths at worst.
pub(crate) fn matches(glob: &[u8], path: &[u8]) -> bool {
    let (mut g, mut p) = (0, 0);
    let (mut one, mut many): (Option<Star>, Option<Star>) = (None, None);
    loop {
        if glob[g..].starts_with(b"**") {
            g += 2;
            (many, one) = (Some(Star { after: g, at: p }), None);
        } else if glob.get(g) == Some(&b'*') {
            g += 1;
            one = Some(Star { after: g, at: p });
        } else if g < glob.len() && glob.get(g) == path.get(p) {
            (g, p) = (g + 1, p + 1);
        } else if g == glob.len() && p == path.len() {
            return true;
        } else if let Some(star) = &mut one
            && path.get(star.at).is_some_and(|b| *b != b'/')
        {
            (g, p) = star.take_one_more();
        } else if let Some(star) = &mut many
            && star.at < path.len()
        {
            (g, p) = star.take_one_more();
            one = None;
        } else {
            return false;
        }
    }
}

/// The last star of its kind: where the glob goes on behind it, and what of the path it has not
/// taken.
struct Star {
    after: usize,
    at: usize,
}

impl Star {
    /// Takes one more byte and says where to try again in both.
    const fn take_one_more(&mut self) -> (usize, usize) {
        self.at += 1;
        (self.after, self.at)
    }
}

/// One worker's routes: globs and templates as numbers, paths that were seen before remembered.
#[derive(Debug)]
pub struct RouteTable {
    routes: Routes,
    names: Names,
    /// Paths matched against globs lately: two generations, of which the older goes when the
    /// younger is full. Empty where there are no globs, since a template is as quick as a look.
    recent: SeededMap<Box<[u8]>, u32>,
    older: SeededMap<Box<[u8]>, u32>,
    text: Vec<u8>,
}

impl RouteTable {
    /// An empty table that tells at most `max` routes apart.
    pub fn new(routes: Routes, max: usize, seed: Seed) -> Self {
        let (recent, older) = (seed.map(), seed.map());
        Self { routes, names: Names::new(max, seed), recent, older, text: Vec::new() }
    }

    /// The route of a path.
    pub fn number(&mut self, path: &[u8]) -> u32 {
        if self.routes.globs.is_empty() {
            return self.resolve(path);
        }
        if let Some(number) = self.recent.get(path) {
            return *number;
        }
        let number = match self.older.get(path) {
            Some(number) => *number,
            None => self.resolve(path),
        };
        self.remember(path, number);
        number
    }

    /// The number of a route by its name.
    pub fn number_of_route(&mut self, name: &[u8]) -> u32 {
        self.names.number(name)
    }

    /// The name of a number that this table gave.
    pub fn name(&self, number: u32) -> Arc<str> {
        self.names.name(number)
    }

    /// How many routes there are.
    pub const fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is none yet.
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Lets go of every route but those for which `stays` is true; their numbers may be given to
    /// other routes.
    pub fn keep(&mut self, mut stays: impl FnMut(u32) -> bool) {
        self.names.keep(&mut stays);
        self.recent.retain(|_, number| stays(*number));
        self.older.retain(|_, number| stays(*number));
    }

    /// How many times a route found no place.
    pub const fn overflowed(&self) -> u64 {
        self.names.overflowed()
    }

    fn resolve(&mut self, path: &[u8]) -> u32 {
        if let Some(glob) = self.routes.matching(path) {
            return self.names.number(glob);
        }
        template(path, &mut self.text);
        self.names.number(&self.text)
    }

    fn remember(&mut self, path: &[u8], number: u32) {
        if path.len() > EDGE_ROUTE_BYTES_MAX {
            return;
        }
        if self.recent.len() >= EDGE_PATHS_CACHED_MAX / 2 {
            std::mem::swap(&mut self.recent, &mut self.older);
            self.recent.clear();
        }
        self.recent.insert(path.into(), number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_stays_within_a_segment_and_two_do_not() {
        let cases: &[(&str, &str, bool)] = &[
            ("/api/*", "/api/orders", true),
            ("/api/*", "/api/orders/7", false),
            ("/api/*", "/api/", true),
            ("/cart/**", "/cart/7/items/9", true),
            ("/cart/**", "/cart", false),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a/b/b/c", false),
            ("/a/**/c", "/a/b/b/c", true),
            ("**.js", "/static/app/main.js", true),
            ("**.js", "/static/app/main.css", false),
            ("/x*y*z", "/x1y2y3z", true),
            ("/**/x/*", "/a/x/b/x/c", true),
            ("/", "/", true),
            ("/", "/a", false),
        ];
        for (glob, path, wanted) in cases {
            assert_eq!(matches(glob.as_bytes(), path.as_bytes()), *wanted, "{glob} {path}");
        }
    }

    #[test]
    fn the_first_glob_names_the_route_and_templates_name_the_rest() {
        let routes = Routes::new(&["/api/v1/*", "/api/**"]).unwrap();
        let mut table = RouteTable::new(routes, 100, Seed(1));
        let mut name = |path: &str| {
            let number = table.number(path.as_bytes());
            table.name(number).to_string()
        };
        assert_eq!(name("/api/v1/orders"), "/api/v1/*");
        assert_eq!(name("/api/v1/orders/8"), "/api/**");
        assert_eq!(name("/api/v1/orders"), "/api/v1/*");
        assert_eq!(name("/shop/12345/view"), "/shop/:id/view");
        assert_eq!(name("<BADREQ>"), "<BADREQ>");
        assert_eq!(name(""), "-");
    }

    #[test]
    fn a_flood_of_paths_is_bounded_and_counted() {
        let mut table = RouteTable::new(Routes::new(&["/keep"]).unwrap(), 50, Seed(1));
        for i in 0..200_000_u32 {
            let word: String = i.to_string().bytes().map(|b| char::from(b - b'0' + b'a')).collect();
            table.number(format!("/{word}").as_bytes());
        }
        assert_eq!(table.overflowed(), 200_000 - 50);
        assert!(table.recent.len() + table.older.len() <= EDGE_PATHS_CACHED_MAX);
    }

    #[test]
    fn globs_that_cannot_match_a_path_are_refused() {
        assert!(matches!(Routes::new(&["api"]), Err(BadRoutes::Glob(_))));
        assert!(matches!(Routes::new(&[""]), Err(BadRoutes::Glob(_))));
    }

    proptest::proptest! {
        #[test]
        fn globs_match_as_the_same_regular_expression_does(
            glob in "/[ab/*]{0,8}",
            path in "/[ab/]{0,8}",
        ) {
            let pattern = glob.replace("**", "\u{1}").replace('*', "[^/]*").replace('\u{1}', ".*");
            let wanted = regex::Regex::new(&format!("^{pattern}$")).unwrap().is_match(&path);
            proptest::prop_assert_eq!(matches(glob.as_bytes(), path.as_bytes()), wanted, "{} {}", glob, path);
        }
    }
}
