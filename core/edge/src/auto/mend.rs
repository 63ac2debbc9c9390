//! What would have lines read that no format takes, in words for who types `--format` and for who
//! writes `format:`.

use crate::formats;

/// Where the reader of a hint sets the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// `--format`.
    Option,
    /// `format:` of a source.
    Key,
}

impl Setting {
    /// What stands before the format.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Option => "--format ",
            Self::Key => "format: ",
        }
    }
}

/// What would have such lines read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// This, given as the format string; an example of one, perhaps none.
    String(&'static str, &'static str),
    /// The string of a log that is nginx's or Apache's.
    Own,
    /// The same, or else the part of the line that is known.
    Rest,
    /// To cut off the words before so many spaces.
    Cut(usize),
    /// To take out the text that a member of the JSON holds; whether it has a line feed of its own.
    Member(String, bool),
    /// This program first.
    Through(&'static str),
    /// Something else, in words.
    Instead(&'static str),
}

/// `option httplog` as a string, from `HAProxy`'s manual, section 8.2.3.
pub(super) const HTTPLOG: &str = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc \
                                  %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r";
/// `option tcplog`, section 8.2.2.
pub(super) const TCPLOG: &str =
    "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq";
/// Combined with times behind it.
pub(super) const TIMES: &str = "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
     \"$http_referer\" \"$http_user_agent\" rt=$request_time urt=\"$upstream_response_time\"";
/// Names and values.
pub(super) const PAIRS: &str = "time=$time_iso8601 client=$remote_addr uri=\"$request_uri\" \
                                status=$status took=$request_time";
/// A JSON object.
pub(super) const OBJECT: &str = "{\"time\":\"$time_iso8601\",\"uri\":\"$request_uri\",\
                                 \"status\":$status,\"took\":$request_time}";
/// Columns between commas.
pub(super) const COLUMNS: &str =
    "$time_iso8601,$remote_addr,$request_method,\"$request_uri\",$status,$request_time";
/// A W3C log's columns.
pub(super) const FIELDS: &str =
    "#Fields: date time c-ip cs-method cs-uri-stem sc-status time-taken";
/// Whose string a log without other signs has.
pub(super) const NGINX_OR_APACHE: &str =
    "nginx's log_format (nginx -T shows it) or Apache's LogFormat";

impl Mend {
    /// What to do, in a sentence without its stop.
    pub(super) fn hint(&self, setting: Setting) -> String {
        let name = setting.name();
        let to = match setting {
            Setting::Option => "to --format",
            Setting::Key => "as format:",
        };
        match (self, setting) {
            (Self::String(whose, ""), _) => format!("give {whose} {to}"),
            (Self::String(whose, like), _) => format!("give {whose} {to}, such as {name}'{like}'"),
            (Self::Own, _) => format!("give {NGINX_OR_APACHE} {to}, such as {name}'{TIMES}'"),
            (Self::Rest, _) => {
                let start = formats::COMBINED_START;
                let own = Self::Own.hint(setting);
                format!("{own}; {name}{start} reads hits, codes and bytes alone")
            }
            (Self::Cut(words), Setting::Option) => format!(
                "cut that off: cut -d' ' -f{}- FILE | whyslow edge -; or give the balancer's own \
                 format string, that part included, to --format",
                words + 1
            ),
            (Self::Cut(_), Setting::Key) => {
                "have it sent without that, or give the balancer's own format string, that part \
                 included, as format:"
                    .to_owned()
            }
            (Self::Member(key, ended), Setting::Option) => {
                let raw = if *ended { "-rj" } else { "-r" };
                let plain = key.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
                let path = if plain { format!(".{key}") } else { format!("'.\"{key}\"'") };
                format!("take it out: jq {raw} {path} FILE | whyslow edge -")
            }
            (Self::Member(..), Setting::Key) => {
                "have it sent without the JSON around it".to_owned()
            }
            (Self::Through(program), Setting::Option) => {
                format!("make it plain text first: {program} FILE | whyslow edge -")
            }
            (Self::Through(_), Setting::Key) => "have it sent as plain text".to_owned(),
            (Self::Instead(what), _) => (*what).to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiled::compile;

    #[test]
    fn every_string_that_is_given_as_an_example_can_be_read_by() {
        for string in [HTTPLOG, TCPLOG, TIMES, PAIRS, OBJECT, COLUMNS, FIELDS] {
            compile(string).unwrap_or_else(|e| panic!("{string}: {e}"));
        }
    }
}
