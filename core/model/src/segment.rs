//! A part of the world that can be at fault.

use serde::{Deserialize, Serialize};

/// One of the eleven places between the observer's eye and the page's content.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Segment {
    /// The observer itself.
    Vantage,
    /// The user's own machine.
    Client,
    /// The client's internet provider.
    Access,
    /// The networks between the client's provider and the service's.
    Transit,
    /// Name resolution.
    Dns,
    /// A content delivery network or proxy in front of the service.
    Cdn,
    /// The load balancer and its queue.
    Edge,
    /// A server's kernel and network card.
    Host,
    /// An application instance.
    Backend,
    /// One URL's code.
    Route,
    /// The page's content, third parties included.
    Page,
}

impl Segment {
    /// All segments, from the eye to the page: the order in which they are always shown.
    pub const ALL: [Self; 11] = [
        Self::Vantage,
        Self::Client,
        Self::Access,
        Self::Transit,
        Self::Dns,
        Self::Cdn,
        Self::Edge,
        Self::Host,
        Self::Backend,
        Self::Route,
        Self::Page,
    ];

    /// The segment's name in configuration, API and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vantage => "vantage",
            Self::Client => "client",
            Self::Access => "access",
            Self::Transit => "transit",
            Self::Dns => "dns",
            Self::Cdn => "cdn",
            Self::Edge => "edge",
            Self::Host => "host",
            Self::Backend => "backend",
            Self::Route => "route",
            Self::Page => "page",
        }
    }
}
