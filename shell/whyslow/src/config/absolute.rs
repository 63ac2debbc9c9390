//! File names in a configuration begin at its own directory, wherever whyslow is started from.

use std::path::Path;

use whyslow_probe::spec::{Auth, CheckSpec, SecretRef, Text};

use super::edge::Input;
use super::types::Config;

/// Makes every file name in `config` absolute.
pub fn file_names(config: &mut Config, base: &Path) {
    if let Some(data) = &mut config.data {
        *data = base.join(&*data);
    }
    if let Some(socket) = &mut config.keep_socket {
        *socket = base.join(&*socket);
    }
    for table in &mut config.asn {
        *table = base.join(&*table);
    }
    let inputs = config.edge.iter_mut().map(|source| &mut source.input);
    for input in inputs.chain(config.triggers.iter_mut().map(|trigger| &mut trigger.input)) {
        match input {
            Input::Files(path) | Input::UnixDgram(path) | Input::UnixStream(path) => {
                *path = base.join(&*path);
            }
            Input::Stdin | Input::SyslogUdp(_) | Input::SyslogTcp(_) | Input::Journald(_) => {}
        }
    }
    config.token.iter_mut().for_each(|token| secret(token, base));
    let remote = config.remote_write.iter_mut().filter_map(|r| r.token.as_mut());
    remote.for_each(|token| secret(token, base));
    config.agents.values_mut().for_each(|agent| secret(&mut agent.token, base));
    for service in config.services.values_mut() {
        service.checks.iter_mut().for_each(|c| check(c, base));
        service.paths.values_mut().filter_map(|p| p.ca_file.as_mut()).for_each(|f| name(f, base));
    }
}

fn check(check: &mut CheckSpec, base: &Path) {
    check.ca_file.iter_mut().for_each(|f| name(f, base));
    if let Some(shown) = &mut check.client_certificate {
        name(&mut shown.certificate, base);
        name(&mut shown.key, base);
    }
    for text in check.headers.values_mut().chain(&mut check.body) {
        if let Text::Secret(at) = text {
            secret(at, base);
        }
    }
    match &mut check.auth {
        Some(Auth::Basic(basic)) => secret(&mut basic.password, base),
        Some(Auth::Bearer(token)) => secret(token, base),
        None => {}
    }
}

fn secret(at: &mut SecretRef, base: &Path) {
    if let SecretRef::File(file) = at {
        name(file, base);
    }
}

fn name(file: &mut String, base: &Path) {
    *file = base.join(&*file).to_string_lossy().into_owned();
}
