//! Which running whyslow a command talks to.

use crate::web::client::{Client, ClientError, DEFAULT_SERVER};

use super::Stop;

/// The environment variable that holds a server's token: arguments show in process lists.
const TOKEN: &str = "WHYSLOW_TOKEN";

/// Options of commands that talk to a running whyslow.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// The running whyslow to ask; WHYSLOW_TOKEN holds its token, if it wants one.
    #[arg(long, value_name = "URL", env = "WHYSLOW_SERVER", default_value = DEFAULT_SERVER)]
    server: String,
}

impl ServerArgs {
    /// Runs one exchange with the server.
    pub(super) fn ask<T>(
        &self,
        exchange: impl AsyncFnOnce(&Client) -> Result<T, ClientError>,
    ) -> Result<T, Stop> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Stop::operation(format!("cannot start talking to the network: {e}")))?;
        let token = std::env::var(TOKEN).ok().filter(|t| !t.is_empty());
        let answer = runtime.block_on(async {
            let client = Client::new(&self.server, token)?;
            exchange(&client).await
        });
        answer.map_err(|error| {
            let stop = match &error {
                ClientError::Address(_) => Stop::usage(&error),
                ClientError::Refused { .. }
                | ClientError::Unreachable { .. }
                | ClientError::Strange { .. } => Stop::operation(&error),
            };
            match error.hint() {
                Some(hint) => stop.hint(hint),
                None => stop,
            }
        })
    }
}
