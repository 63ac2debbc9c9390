//! What the numbers in a report's keys mean.

use std::sync::Arc;

use whyslow_model::asn::AsnTable;
use whyslow_model::limits::{EDGE_NAMES_MAX, EDGE_REPORT_CLIENTS_MAX, EDGE_REPORT_ROUTES_MAX};

use super::groups::{self, Key, Numbers};
use super::{Field, Options, Value};
use crate::client::{network_of, prefix_of};
use crate::names::Names;
use crate::record::Record;
use crate::routes::RouteTable;
use crate::row::{ClientAsn, ClientPrefix, OTHER};

/// Which fields any key asks for: nothing else is looked up.
#[derive(Clone, Copy, Debug)]
struct Needs([bool; Field::ALL.len()]);

impl Needs {
    const fn of(self, field: Field) -> bool {
        self.0[field as usize]
    }
}

/// What the numbers in keys mean.
#[derive(Debug)]
pub(super) struct Meanings {
    /// Which fields any key asks for.
    needs: Needs,
    vips: Names,
    backends: Names,
    servers: Names,
    /// The numbers of vip, backend and server by [`Record::place`]; zeros where not looked up yet.
    places: Vec<[u16; 3]>,
    routes: RouteTable,
    networks: Numbers<ClientAsn>,
    prefixes: Numbers<ClientPrefix>,
}

impl Meanings {
    /// None yet.
    pub(super) fn new(options: &Options) -> Self {
        let seed = options.seed;
        let names = || Names::new(EDGE_NAMES_MAX, seed);
        let needs = Field::ALL.map(|field| options.by.iter().any(|by| by.contains(&field)));
        Self {
            needs: Needs(needs),
            vips: names(),
            backends: names(),
            servers: names(),
            places: Vec::new(),
            routes: RouteTable::new(options.routes.clone(), EDGE_REPORT_ROUTES_MAX, seed),
            networks: Numbers::new(ClientAsn::Other, EDGE_REPORT_CLIENTS_MAX, seed),
            prefixes: Numbers::new(ClientPrefix::Other, EDGE_REPORT_CLIENTS_MAX, seed),
        }
    }

    /// The key of a request, of those fields that are needed.
    #[inline]
    pub(super) fn key_of(&mut self, record: &Record<'_>, asn: Option<&AsnTable>) -> Key {
        let needs = self.needs;
        let [vip, backend, server] = match self.places.get(record.place as usize) {
            Some(known) if known[0] != OTHER_NUMBER => *known,
            _ => self.look_up_place(record),
        };
        let mut key = Key::default();
        let mut set = |field: Field, number: u16| key = key.with(field, number);
        set(Field::Vip, vip);
        set(Field::Backend, backend);
        set(Field::Server, server);
        if needs.of(Field::Route) {
            set(Field::Route, short(self.routes.number(record.path)));
        }
        if needs.of(Field::Code) {
            set(Field::Code, record.code);
        }
        if needs.of(Field::ClientAsn) {
            set(Field::ClientAsn, self.networks.number(network_of(record, asn)));
        }
        if needs.of(Field::ClientPrefix) {
            set(Field::ClientPrefix, self.prefixes.number(prefix_of(record.client)));
        }
        key
    }

    /// The numbers of vip, backend and server, remembered by place.
    #[inline(never)]
    fn look_up_place(&mut self, record: &Record<'_>) -> [u16; 3] {
        let needs = self.needs;
        let number = |field: Field, names: &mut Names, name: &[u8]| {
            if needs.of(field) { short(names.number(name)) } else { NOT_NEEDED }
        };
        let numbers = [
            number(Field::Vip, &mut self.vips, record.vip),
            number(Field::Backend, &mut self.backends, record.backend),
            number(Field::Server, &mut self.servers, record.server),
        ];
        let place = record.place as usize;
        // What goes to `other` for want of room is counted each time.
        if place > 0 && !numbers.contains(&OTHER_NUMBER) {
            if self.places.len() <= place {
                self.places.resize(place + 1, [OTHER_NUMBER; 3]);
            }
            self.places[place] = numbers;
        }
        numbers
    }

    /// What a number means.
    pub(super) fn value(&self, field: Field, number: u16) -> Value {
        let name = |name: Arc<str>| if number == 0 { Value::Other } else { Value::Name(name) };
        match field {
            Field::Vip => name(self.vips.name(number.into())),
            Field::Backend => name(self.backends.name(number.into())),
            Field::Server => name(self.servers.name(number.into())),
            Field::Route => name(self.routes.name(number.into())),
            Field::Code if number == groups::OTHER_CODE => Value::Other,
            Field::Code => Value::Code(number),
            Field::ClientAsn => match self.networks.value(number) {
                ClientAsn::As(asn) => Value::Asn(asn),
                ClientAsn::Unknown => Value::Unknown,
                ClientAsn::Other => Value::Other,
            },
            Field::ClientPrefix => match self.prefixes.value(number) {
                ClientPrefix::Net(net) => Value::Net(net),
                ClientPrefix::Unknown => Value::Unknown,
                ClientPrefix::Other => Value::Other,
            },
        }
    }

    /// The number of a meaning.
    pub(super) fn number(&mut self, field: Field, value: &Value) -> u16 {
        let name =
            || if let Value::Name(name) = value { name.as_bytes() } else { OTHER.as_bytes() };
        match field {
            Field::Vip => short(self.vips.number(name())),
            Field::Backend => short(self.backends.number(name())),
            Field::Server => short(self.servers.number(name())),
            Field::Route => short(self.routes.number_of_route(name())),
            Field::Code => {
                if let Value::Code(code) = value {
                    *code
                } else {
                    groups::OTHER_CODE
                }
            }
            Field::ClientAsn => self.networks.number(match value {
                Value::Asn(asn) => ClientAsn::As(*asn),
                Value::Unknown => ClientAsn::Unknown,
                Value::Name(_) | Value::Code(_) | Value::Net(_) | Value::Other => ClientAsn::Other,
            }),
            Field::ClientPrefix => self.prefixes.number(match value {
                Value::Net(net) => ClientPrefix::Net(*net),
                Value::Unknown => ClientPrefix::Unknown,
                Value::Name(_) | Value::Code(_) | Value::Asn(_) | Value::Other => {
                    ClientPrefix::Other
                }
            }),
        }
    }

    /// Requests whose name, route or client found no place.
    pub(super) const fn overflowed(&self) -> u64 {
        self.vips.overflowed()
            + self.backends.overflowed()
            + self.servers.overflowed()
            + self.routes.overflowed()
            + self.networks.overflowed
            + self.prefixes.overflowed
    }
}

/// The number of what found no place among the names.
const OTHER_NUMBER: u16 = 0;
/// Of a name that no key asks for.
const NOT_NEEDED: u16 = 1;

/// No table holds more than 65 535 names.
fn short(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(0)
}
