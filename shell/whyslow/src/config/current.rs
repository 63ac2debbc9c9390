//! The configuration in force: replaced as a whole, and only by one that is right.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use whyslow_model::Wall;
use whyslow_sys::clock;

use super::added::{self, Added};
use super::load::{LoadError, load, settle};
use super::types::Config;

/// Where the configuration comes from. What was typed on the command line wins over the file.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// A file, or a directory of files.
    pub file: Option<PathBuf>,
    /// The data directory.
    pub data: Option<PathBuf>,
    /// The listener's address.
    pub listen: Option<SocketAddr>,
    /// Targets to watch, as typed.
    pub targets: Vec<String>,
}

/// One configuration in force, and how it came to be.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Everything joined: the file, the command line, what pages added.
    pub config: Arc<Config>,
    /// Services that a page added and that are in force.
    pub added: BTreeSet<String>,
    /// Services that a page added and the file names too; the file's are in force.
    pub overruled: BTreeSet<String>,
    /// When it came into force.
    pub since: Wall,
    /// Counts from 1, one more for each configuration that came into force.
    pub generation: u64,
    /// Keys whose change waits for a restart: `data`, `listen`.
    pub needs_restart: Vec<&'static str>,
    /// The last attempt to replace it, where that was refused.
    pub refused: Option<Refused>,
    /// How many attempts were refused in all.
    pub refusals: u64,
}

/// An attempt to replace the configuration that failed; the old one stayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// When it was tried.
    pub at: Wall,
    /// One line: how many mistakes, and the first.
    pub summary: String,
    /// All of it, as `config check` prints it.
    pub text: String,
}

/// Why a configuration did not come into force.
#[derive(Debug, thiserror::Error)]
pub enum NotInForce {
    /// It cannot be read, or is wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A target on the command line is none.
    #[error("{}", .0.what)]
    Target(#[from] whyslow_probe::spec::NotATarget),
    /// The command line opens the listener to everybody.
    #[error("{0} is reachable from outside without a token")]
    Open(SocketAddr),
    /// There is nowhere to keep data.
    #[error(
        "no data directory: neither --data nor data: is given, and neither XDG_STATE_HOME nor HOME is set"
    )]
    NoData,
    /// A page adds a service that is there already.
    #[error("service '{0}' has it already, or stands in the configuration file")]
    Known(String),
    /// A page takes away a service that no page added.
    #[error("no page added a service '{0}'")]
    NotAdded(String),
    /// What a page added cannot be kept.
    #[error(transparent)]
    NotKept(#[from] added::NotKept),
}

impl NotInForce {
    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Target(error) => Some(&error.hint),
            Self::Open(_) => Some("set token: in a configuration file, or listen on 127.0.0.1"),
            Self::NoData => Some("say --data DIR"),
            Self::Known(_) => Some("a service of the file is changed in the file"),
            Self::NotAdded(_) => Some("services of the file are changed in the file"),
            Self::Load(LoadError::Unreadable { .. }) | Self::NotKept(_) => {
                Some("the user whyslow runs as needs the right to it")
            }
            Self::Load(LoadError::Wrong(_)) => Some("whyslow config check FILE tells it all"),
        }
    }

    fn refused(&self) -> Refused {
        let (summary, text) = match self {
            Self::Load(LoadError::Wrong(problems)) => {
                let text = problems.to_string();
                let first = text.lines().next().unwrap_or_default();
                (format!("{}; the first: {first}", problems.counted()), text)
            }
            Self::Load(LoadError::Unreadable { .. })
            | Self::Target(_)
            | Self::Open(_)
            | Self::NoData
            | Self::Known(_)
            | Self::NotAdded(_)
            | Self::NotKept(_) => (self.to_string(), self.to_string()),
        };
        Refused { at: clock::wall(), summary, text }
    }
}

/// The configuration in force, shared by everything that runs.
#[derive(Debug)]
pub struct Current {
    origin: Origin,
    /// Fixed for the process's life: the store lives there.
    data: PathBuf,
    /// Fixed for the process's life: the listener is bound to it.
    listen: SocketAddr,
    published: watch::Sender<Arc<Snapshot>>,
    /// Held while a new configuration is made, so that two never overtake each other.
    making: Mutex<()>,
}

impl Current {
    /// Reads the configuration for the first time.
    pub fn open(origin: Origin) -> Result<Self, NotInForce> {
        let config = of_origin(&origin)?;
        let data = config.data.clone().ok_or(NotInForce::NoData)?;
        let listen = config.listen;
        let snapshot = joined(config, &added::read(&data)?, None);
        let published = watch::Sender::new(Arc::new(snapshot));
        Ok(Self { origin, data, listen, published, making: Mutex::new(()) })
    }

    /// What would come into force, without what pages added. Nothing is made or changed.
    pub fn preview(origin: &Origin) -> Result<Config, NotInForce> {
        of_origin(origin)
    }

    /// What is in force now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.borrow().clone()
    }

    /// The configuration in force now.
    pub fn config(&self) -> Arc<Config> {
        self.snapshot().config.clone()
    }

    /// The data directory, the same for the process's life.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Tells of every change; `borrow_and_update` gives the newest.
    pub fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.published.subscribe()
    }

    /// Reads everything again. The new configuration comes into force as a whole; where anything
    /// is wrong the old one stays, and its snapshot says why the new one was refused. Reads files:
    /// call it where blocking is fine.
    pub fn reload(&self) -> Result<Arc<Snapshot>, NotInForce> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        self.remake()
    }

    /// Adds a check of what was typed into a page, and keeps it. Gives its service and its name.
    /// Writes a file.
    pub fn add(&self, typed: &str) -> Result<(String, String), NotInForce> {
        let (name, service) = added::service_of(typed)?;
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.snapshot();
        if snapshot.config.services.contains_key(&name) && !snapshot.added.contains(&name) {
            return Err(NotInForce::Known(name));
        }
        let mut added = added::read(&self.data)?;
        let Some(names) = added::put(&mut added, name.clone(), service) else {
            return Err(NotInForce::Known(name));
        };
        self.keep(&added)?;
        Ok(names)
    }

    /// Takes away a service that a page added. Writes a file.
    pub fn remove(&self, name: &str) -> Result<(), NotInForce> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let mut added = added::read(&self.data)?;
        if added.remove(name).is_none() {
            return Err(NotInForce::NotAdded(name.to_owned()));
        }
        self.keep(&added)
    }

    /// Writes down what pages added and brings it into force.
    fn keep(&self, added: &Added) -> Result<(), NotInForce> {
        added::write(&self.data, added)?;
        let before = self.snapshot();
        // The file may have become wrong meanwhile; then what it said before stays in force.
        let mut config = of_origin(&self.origin).unwrap_or_else(|_| without_added(&before));
        self.pin(&mut config);
        let snapshot = joined(config, added, Some(&before));
        self.publish(Snapshot { refused: before.refused.clone(), ..snapshot });
        Ok(())
    }

    fn remake(&self) -> Result<Arc<Snapshot>, NotInForce> {
        let before = self.snapshot();
        let made =
            of_origin(&self.origin).and_then(|config| Ok((config, added::read(&self.data)?)));
        let (mut config, added) = match made {
            Ok(made) => made,
            Err(error) => {
                let refused = Some(error.refused());
                let refusals = before.refusals + 1;
                self.publish(Snapshot { refused, refusals, ..(*before).clone() });
                return Err(error);
            }
        };
        let needs_restart = self.pin(&mut config);
        let snapshot = joined(config, &added, Some(&before));
        Ok(self.publish(Snapshot { needs_restart, ..snapshot }))
    }

    /// Keeps what cannot change while the process runs, and names it.
    fn pin(&self, config: &mut Config) -> Vec<&'static str> {
        let mut changed = Vec::new();
        if config.data.as_ref() != Some(&self.data) {
            changed.push("data");
            config.data = Some(self.data.clone());
        }
        if config.listen != self.listen {
            changed.push("listen");
            config.listen = self.listen;
        }
        changed
    }

    fn publish(&self, snapshot: Snapshot) -> Arc<Snapshot> {
        let snapshot = Arc::new(snapshot);
        self.published.send_replace(Arc::clone(&snapshot));
        snapshot
    }
}

fn without_added(snapshot: &Snapshot) -> Config {
    let mut config = (*snapshot.config).clone();
    config.services.retain(|name, _| !snapshot.added.contains(name));
    config
}

/// The file and the command line, joined and settled.
fn of_origin(origin: &Origin) -> Result<Config, NotInForce> {
    let mut config = match &origin.file {
        Some(file) => load(file)?,
        None => Config::default(),
    };
    settle(&mut config);
    if let Some(listen) = origin.listen {
        config.listen = listen;
    }
    if !config.listen.ip().is_loopback() && config.token.is_none() {
        return Err(NotInForce::Open(config.listen));
    }
    config.data = origin.data.clone().or(config.data).or_else(default_data);
    for typed in &origin.targets {
        let (name, service) = added::service_of(typed)?;
        // Typed twice, or configured too, it is one check.
        let _ = added::put(&mut config.services, name, service);
    }
    Ok(config)
}

/// `$XDG_STATE_HOME/whyslow`, by default `~/.local/state/whyslow` (XDG base directories 0.8).
pub fn default_data() -> Option<PathBuf> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("whyslow"))
}

fn joined(mut config: Config, added: &Added, before: Option<&Snapshot>) -> Snapshot {
    let overruled: BTreeSet<String> = added::merge(&mut config, added).into_iter().collect();
    Snapshot {
        config: Arc::new(config),
        added: added.keys().filter(|name| !overruled.contains(*name)).cloned().collect(),
        overruled,
        since: clock::wall(),
        generation: before.map_or(0, |b| b.generation) + 1,
        needs_restart: before.map(|b| b.needs_restart.clone()).unwrap_or_default(),
        refused: None,
        refusals: before.map_or(0, |b| b.refusals),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        dir: tempfile::TempDir,
        current: Current,
    }

    fn opened(text: &str) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("whyslow.yaml");
        std::fs::write(&file, text).unwrap();
        let origin =
            Origin { file: Some(file), data: Some(dir.path().to_owned()), ..Origin::default() };
        Place { current: Current::open(origin).unwrap(), dir }
    }

    impl Place {
        fn write(&self, text: &str) {
            std::fs::write(self.dir.path().join("whyslow.yaml"), text).unwrap();
        }
    }

    #[test]
    fn a_wrong_file_leaves_the_old_configuration_in_force_and_says_so() {
        let place = opened("services: {shop: {owner: web}}\n");
        let mut changes = place.current.watch();
        place.write("services: {shop: {onwer: web}}\n");
        assert!(place.current.reload().is_err());
        let now = place.current.snapshot();
        assert!(now.config.services.contains_key("shop"));
        assert_eq!((now.generation, now.refusals), (1, 1));
        assert!(now.refused.as_ref().unwrap().summary.contains("unknown key 'onwer'"));
        assert!(changes.has_changed().unwrap());

        place.write("services: {mail: {owner: web}}\n");
        place.current.reload().unwrap();
        let now = changes.borrow_and_update().clone();
        assert!(
            now.config.services.contains_key("mail") && !now.config.services.contains_key("shop")
        );
        assert_eq!((now.generation, now.refused.clone()), (2, None));
    }

    #[test]
    fn what_a_page_adds_outlives_a_reload_and_a_restart_and_the_file_wins() {
        let place = opened("");
        let names = place.current.add("https://a.example/").unwrap();
        assert_eq!(names, ("a.example".to_owned(), "page".to_owned()));
        assert!(place.current.snapshot().added.contains("a.example"));
        assert_eq!(place.current.add("https://a.example/x").unwrap().1, "page-2");
        assert!(matches!(place.current.add("https://a.example/x"), Err(NotInForce::Known(_))));
        place.write("services: {a.example: {owner: web}}\n");
        let now = place.current.reload().unwrap();
        assert!(now.overruled.contains("a.example") && now.added.is_empty());
        assert_eq!(now.config.services["a.example"].owner.as_deref(), Some("web"));
        let again = Current::open(place.current.origin.clone()).unwrap();
        assert!(again.snapshot().overruled.contains("a.example"));
        place.write("");
        again.remove("a.example").unwrap();
        assert!(again.config().services.is_empty());
        assert!(matches!(again.remove("a.example"), Err(NotInForce::NotAdded(_))));
    }

    #[test]
    fn the_command_line_wins_over_the_file_and_cannot_open_the_listener_without_a_token() {
        let place = opened("listen: 127.0.0.1:7070\n");
        let mut origin = place.current.origin.clone();
        origin.listen = Some("0.0.0.0:80".parse().unwrap());
        assert!(matches!(Current::open(origin.clone()), Err(NotInForce::Open(_))));
        origin.listen = Some("127.0.0.1:80".parse().unwrap());
        origin.targets =
            vec!["https://a.example/".into(), "https://a.example/b".into(), "ping:gw".into()];
        let config = Current::open(origin).unwrap().config();
        assert_eq!(config.listen.port(), 80);
        let ids: Vec<_> = config.planned_checks().iter().map(|p| p.id.to_string()).collect();
        assert_eq!(ids, ["a.example:page:direct", "a.example:page-2:direct", "gw:ping:direct"]);
    }

    #[test]
    fn a_new_listener_waits_for_a_restart_and_is_named() {
        let place = opened("listen: 127.0.0.1:7070\n");
        place.write("listen: 127.0.0.1:7071\n");
        let now = place.current.reload().unwrap();
        assert_eq!((now.config.listen.port(), now.needs_restart.clone()), (7070, vec!["listen"]));
    }
}
