//! Logs in which incidents are looked for: that each can be followed, and that its lines can say
//! whose packets are meant.

use std::time::Duration;

use whyslow_edge::trigger::{BadPattern, GROUPS, Pattern};
use whyslow_model::limits::{WIRE_TRIGGER_FIELDS_MAX, WIRE_TRIGGERS_MAX};
use whyslow_wire::evidence::Trigger;

use super::super::edge::Input;
use super::super::node::Step;
use super::super::problem::did_you_mean;
use super::super::trigger::LogTrigger;
use super::super::types::Config;
use super::super::world::World;
use super::{Findings, names};

/// Letters of a cause, which is part of files' names.
const CAUSE_LETTERS_MAX: usize = 40;
/// Rings do not reach back for ever.
const WINDOW_MAX: Duration = Duration::from_mins(10);
/// Letters of a journal field's name (`sd_journal_send(3)`).
const FIELD_LETTERS_MAX: usize = 64;
/// Bytes of a value that is looked for.
const VALUE_BYTES_MAX: usize = 1024;

/// Takes down what is wrong with a key.
type Found<'a> = dyn FnMut(&'static str, String, Option<String>) + 'a;

pub(super) fn apply(config: &Config, _: &World<'_>, findings: &mut Findings<'_, '_>) {
    let n = config.triggers.len();
    if n > WIRE_TRIGGERS_MAX {
        let what = format!("{n} triggers; at most {WIRE_TRIGGERS_MAX}");
        findings.add(&["triggers".into()], what);
    }
    if n > 0 && config.wire.is_empty() {
        let problem = findings.add_key(&["triggers".into()], "no interface is recorded");
        problem.hint = Some("name one under `wire:`; evidence is cut out of its ring".to_owned());
    }
    for (index, trigger) in config.triggers.iter().enumerate() {
        let mut found = |key: &'static str, what: String, hint: Option<String>| {
            let at: [Step<'_>; 3] = ["triggers".into(), index.into(), key.into()];
            findings.add(&at, what).hint = hint;
        };
        if let Some(what) = names::wrong_name(&trigger.name) {
            found("name", what, None);
        }
        if config.triggers[..index].iter().any(|other| other.name == trigger.name) {
            found("name", format!("two triggers are called '{}'", trigger.name), None);
        }
        followed(trigger, &mut found);
        told(trigger, &mut found);
        kept(config, trigger, &mut found);
    }
}

/// What is followed.
fn followed(trigger: &LogTrigger, found: &mut Found<'_>) {
    match &trigger.input {
        Input::Files(path) => {
            let folder = path.parent().map(|p| p.as_os_str().as_encoded_bytes());
            if folder.is_some_and(|folder| folder.iter().any(|b| matches!(b, b'*' | b'?'))) {
                let hint = "name each directory as a trigger of its own".to_owned();
                found(
                    "input",
                    "only the last part of a path may hold * or ?".to_owned(),
                    Some(hint),
                );
            }
            if !trigger.fields.is_empty() {
                let what = format!("{} has no use for it", trigger.input);
                found("fields", what, Some("it is for journald".to_owned()));
            }
        }
        Input::Journald(unit) => {
            if unit.contains('*') {
                let hint = "match a field, such as SYSLOG_IDENTIFIER, under `fields:`".to_owned();
                found("input", "it takes one unit".to_owned(), Some(hint));
            }
            fields(trigger, found);
        }
        Input::Stdin
        | Input::SyslogUdp(_)
        | Input::SyslogTcp(_)
        | Input::UnixDgram(_)
        | Input::UnixStream(_) => {
            let what = format!("{} cannot be followed for triggers", trigger.input);
            found("input", what, Some("write file:PATH or journald:UNIT".to_owned()));
        }
    }
}

fn fields(trigger: &LogTrigger, found: &mut Found<'_>) {
    if trigger.fields.len() > WIRE_TRIGGER_FIELDS_MAX {
        let what = format!("{} fields; at most {WIRE_TRIGGER_FIELDS_MAX}", trigger.fields.len());
        found("fields", what, None);
    }
    let letter = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    let sound = |name: &str| {
        let first = name.bytes().next();
        first.is_some_and(|b| !b.is_ascii_digit())
            && name.len() <= FIELD_LETTERS_MAX
            && name.bytes().all(letter)
    };
    if let Some(odd) = trigger.fields.keys().find(|name| !sound(name)) {
        let what = format!("'{}' is not the name of a field", odd.escape_default());
        let hint = "they have capital letters, as in `journalctl --output=json`".to_owned();
        found("fields", what, Some(hint));
    }
    let odd = |value: &String| value.len() > VALUE_BYTES_MAX || value.contains(char::is_control);
    if trigger.fields.values().any(odd) {
        found("fields", "a value is too long, or no line".to_owned(), None);
    }
}

/// What lines say.
fn told(trigger: &LogTrigger, found: &mut Found<'_>) {
    match Pattern::new(&trigger.regex) {
        Ok(pattern) if trigger.slow.is_some() && !pattern.tells_duration() => {
            let hint = "capture one as duration_ms, duration_s or duration_us".to_owned();
            found("slow", "`regex` tells no duration".to_owned(), Some(hint));
        }
        Ok(_) => {}
        Err(error) => {
            let meant = if let BadPattern::UnknownGroup(name) = &error
                && name != "duration"
            {
                did_you_mean(name, GROUPS).map(|meant| format!("did you mean '{meant}'?"))
            } else {
                None
            };
            let hint = meant.unwrap_or_else(|| error.hint());
            found("regex", error.to_string(), Some(hint));
        }
    }
}

/// What is kept of it.
fn kept(config: &Config, trigger: &LogTrigger, found: &mut Found<'_>) {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let usual = Trigger::ALL.map(Trigger::as_str);
    if let Some(cause) = &trigger.cause {
        let sound =
            !cause.is_empty() && cause.len() <= CAUSE_LETTERS_MAX && cause.bytes().all(letter);
        if !sound {
            let hint = "small letters, digits and _, at most 40".to_owned();
            found("cause", format!("'{}' is not a cause", cause.escape_default()), Some(hint));
        } else if usual.contains(&cause.as_str()) && *cause != Trigger::Log.as_str() {
            let hint = "choose another word".to_owned();
            found("cause", format!("'{cause}' is a cause of whyslow's own"), Some(hint));
        }
    }
    let window = trigger.window;
    if window.std() > WINDOW_MAX {
        let what = format!("{window}; at most {}m", WINDOW_MAX.as_secs() / 60);
        found("window", what, Some("rings do not reach back for ever".to_owned()));
    }
    if let Some(interface) = &trigger.interface
        && !config.wire.iter().any(|tap| tap.interface == *interface)
    {
        let known = config.wire.iter().map(|tap| tap.interface.as_str());
        let hint = did_you_mean(interface, known).map(|meant| format!("did you mean '{meant}'?"));
        found("interface", format!("'{interface}' is not recorded"), hint);
    }
}
