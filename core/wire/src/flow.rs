//! Connections: what is remembered of each while its opening lasts, and of it afterwards.

pub(crate) mod ending;
pub(crate) mod finished;
pub(crate) mod key;
pub(crate) mod open;
pub(crate) mod rtt;
pub(crate) mod side;
pub(crate) mod table;
