//! Faults of conversations in words, for transcripts. They may quote what came from outside.

use std::fmt::{Display, Formatter, Result};

use crate::conversation::{
    ChainFault, ConnectFault, DnsFault, HttpFault, PingFault, ResolveFault, TlsFault,
};

impl Display for ResolveFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::NoSuchName => f.write_str("no such name (NXDOMAIN)"),
            Self::NoAddress => f.write_str("no address of the wanted family"),
            Self::ServerFailed(rcode) => f.write_str(rcode),
            Self::TimedOut => f.write_str("no answer"),
            Self::Malformed(what) => write!(f, "no sound answer: {what}"),
            Self::Unreachable(what) => write!(f, "cannot be reached: {what}"),
        }
    }
}

impl Display for ConnectFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::TimedOut => f.write_str("no answer"),
            Self::Unreachable(what) => write!(f, "cannot be reached: {what}"),
            Self::Reset => f.write_str("reset"),
            Self::Local(what) => write!(f, "our own machine does not let us: {what}"),
        }
    }
}

impl Display for TlsFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::TimedOut => f.write_str("the peer went silent"),
            Self::Reset => f.write_str("reset by the peer"),
            Self::Closed => f.write_str("closed by the peer"),
            Self::Alert(alert) => write!(f, "refused with alert {alert}"),
            Self::Malformed(what) => write!(f, "not sound TLS: {what}"),
            Self::BadSignature => f.write_str("the peer's signature is wrong"),
            Self::Local(what) => f.write_str(what),
        }
    }
}

impl Display for ChainFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Expired => f.write_str("expired"),
            Self::NotYetValid => f.write_str("not valid yet"),
            Self::UnknownIssuer => f.write_str("unknown issuer"),
            Self::BadSignature => f.write_str("a signature is wrong"),
            Self::Revoked => f.write_str("revoked"),
            Self::WrongUse => f.write_str("not made for servers"),
            Self::IssuerAsServer => f.write_str("made for issuing others"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl Display for HttpFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::TimedOut => f.write_str("out of time"),
            Self::Reset => f.write_str("reset by the peer"),
            Self::Closed => f.write_str("closed by the peer"),
            Self::Alert(alert) => write!(f, "refused with alert {alert}"),
            Self::Malformed(what) => write!(f, "not sound HTTP: {what}"),
            Self::BodyTooLarge => f.write_str("the body is larger than is read"),
            Self::Local(what) => f.write_str(what),
        }
    }
}

impl Display for DnsFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::TimedOut => f.write_str("no answer"),
            Self::Refused => f.write_str("nothing listens there"),
            Self::Unreachable(what) => write!(f, "cannot be reached: {what}"),
            Self::Reset => f.write_str("the connection was cut"),
            Self::Malformed(what) => write!(f, "no sound answer: {what}"),
            Self::Local(what) => f.write_str(what),
        }
    }
}

impl Display for PingFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::NotPermitted(what) => write!(f, "not permitted: {what}"),
            Self::Unreachable(what) => write!(f, "cannot be reached: {what}"),
            Self::Local(what) => f.write_str(what),
        }
    }
}
