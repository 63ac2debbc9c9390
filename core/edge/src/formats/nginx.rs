//! nginx: the format recommended in `examples/nginx-log.conf`, and the ones it is found with most.

use super::combined;
use crate::compiled::{Compiled, Language, compile_as};
use crate::format::{Context, Format, Parse, Reject, Scratch};
use crate::record::Record;

/// Any of them, told apart by the line.
pub(super) const FORMAT: Format = Format {
    name: "nginx",
    summary: "nginx: examples/nginx-log.conf, combined with or without times, its packages' main, the ingress's own",
    looks_like: "an nginx log",
    example: "192.0.2.7 50412 [1233918854.655] shop.example \"GET /index.html HTTP/1.1\" 200 bs=2990 \
              bb=2750 rl=77 rt=0.012 ua=\"10.0.0.1:80, 10.0.0.2:80\" us=\"502, 200\" \
              uct=\"-, 0.001\" uht=\"-, 0.006\" urt=\"0.000, 0.007\" ubr=\"0, 2980\" up=app cache=- \
              host=shop.example rc=OK rtt=5122 rttvar=900 id=4d22c4ae2c3f2a1d",
    parser: || Strings::parser(&[RECOMMENDED, TIMES, INGRESS, MAIN, combined::COMBINED]),
};

/// `log_format whyslow` of `examples/nginx-log.conf`.
const RECOMMENDED: &str = "$remote_addr $remote_port [$msec] $server_name \"$request\" $status bs=$bytes_sent \
     bb=$body_bytes_sent rl=$request_length rt=$request_time ua=\"$upstream_addr\" \
     us=\"$upstream_status\" uct=\"$upstream_connect_time\" uht=\"$upstream_header_time\" \
     urt=\"$upstream_response_time\" ubr=\"$upstream_bytes_received\" up=$proxy_host \
     cache=$upstream_cache_status host=$host rc=$request_completion rtt=$tcpinfo_rtt \
     rttvar=$tcpinfo_rttvar id=$request_id";
/// Combined with the times behind it, as nginx's own articles on performance have it.
const TIMES: &str = "$remote_addr $ident $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
     \"$http_referer\" \"$http_user_agent\" rt=$request_time uct=\"$upstream_connect_time\" \
     uht=\"$upstream_header_time\" urt=\"$upstream_response_time\"";
/// The default of the Kubernetes ingress made of nginx.
const INGRESS: &str = "$remote_addr $ident $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
     \"$http_referer\" \"$http_user_agent\" $request_length $request_time [$proxy_upstream_name] \
     [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length \
     $upstream_response_time $upstream_status $req_id";

/// `main` of the configuration that nginx ships.
const MAIN: &str = "$remote_addr $ident $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
     \"$http_referer\" \"$http_user_agent\" \"$http_x_forwarded_for\"";

/// Several format strings, the first that takes a line reads it.
#[derive(Debug)]
pub(super) struct Strings(Vec<Compiled>);

impl Strings {
    /// A parser of these strings of nginx.
    pub(super) fn parser(strings: &[&str]) -> Box<dyn Parse> {
        let strings: Vec<_> = strings.iter().map(|s| (Language::Nginx, *s)).collect();
        Self::of(&strings)
    }

    /// A parser of these strings.
    pub(super) fn of(strings: &[(Language, &str)]) -> Box<dyn Parse> {
        let compiled = strings.iter().map(|(language, s)| compile_as(*language, s));
        // None is refused: a test compiles them all.
        Box::new(Self(compiled.filter_map(Result::ok).collect()))
    }
}

impl Parse for Strings {
    fn parse<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
    ) -> Result<Record<'a>, Reject> {
        let mut record = Record::default();
        self.parse_into(line, context, scratch, &mut record)?;
        Ok(record)
    }

    fn parse_into<'a>(
        &self,
        line: &'a [u8],
        context: &Context,
        scratch: &'a mut Scratch,
        record: &mut Record<'a>,
    ) -> Result<(), Reject> {
        let mut first = None;
        let (last, others) = self.0.split_last().ok_or(Reject::NotARequest("no format"))?;
        for string in others {
            // A cut line fits the beginning of more than one: only a whole one decides.
            match string.fits(line, context, &mut scratch.fields) {
                Ok(()) => return string.parse_into(line, context, scratch, record),
                Err(reject) => first = first.or(Some(reject)),
            }
        }
        last.parse_into(line, context, scratch, record).map_err(|reject| first.unwrap_or(reject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiled::compile;
    use crate::record::{EdgePhase, Span};

    const CONTEXT: Context = Context { near: whyslow_model::Wall::from_nanos(0), zone_s: 0 };

    #[test]
    fn all_strings_compile_and_the_recommended_one_is_the_examples() {
        for string in [RECOMMENDED, TIMES, INGRESS, MAIN, combined::COMBINED] {
            compile(string).unwrap_or_else(|e| panic!("{string}: {e}"));
        }
        let file = include_str!("../../../../examples/nginx-log.conf");
        let at = file.find("\nlog_format").unwrap();
        let directive = &file[at..at + file[at..].find(';').unwrap() + 1];
        let joined: String = directive.split('\'').skip(1).step_by(2).collect();
        assert_eq!(joined, RECOMMENDED);
        let compiled = compile(directive).unwrap();
        assert_eq!(compiled.language(), Language::Nginx);
        let line = FORMAT.example.as_bytes();
        compiled.parse(line, &CONTEXT, &mut Scratch::default()).unwrap();
    }

    #[test]
    fn each_is_told_by_its_lines() {
        let parser = (FORMAT.parser)();
        let read = |line: &str, look: &dyn Fn(Record<'_>)| {
            look(parser.parse(line.as_bytes(), &CONTEXT, &mut Scratch::default()).unwrap());
        };
        read(FORMAT.example, &|r| {
            assert_eq!((r.backend, r.server), (&b"app"[..], &b"10.0.0.2:80"[..]));
            assert_eq!((r.at_us, r.total), (Some(1_233_918_854_655_000), Span::exact(12_000)));
            assert_eq!((r.vip, r.host), (&b"shop.example"[..], &b"shop.example"[..]));
            assert_eq!((r.bytes_out, r.bytes_in, r.attempts.len()), (Some(2990), Some(77), 1));
            assert_eq!(r.phases.of(EdgePhase::Wait), Span::exact(5_000));
        });
        let start = "192.0.2.7 - - [06/Feb/2009:12:14:14 +0100] \"GET / HTTP/1.1\" 200 2750 \"-\" \
                     \"curl\"";
        read(start, &|r| assert_eq!((r.code, r.total), (200, Span::ABSENT)));
        let main = format!("{start} \"192.0.2.9, 10.0.0.1\"");
        read(&main, &|r| {
            assert_eq!((r.code, r.bytes_out, r.total), (200, Some(2750), Span::ABSENT))
        });
        let times = format!("{start} rt=0.801 uct=\"0.000\" uht=\"0.800\" urt=\"0.800\"");
        read(&times, &|r| assert_eq!(r.phases.of(EdgePhase::Wait), Span::exact(800_000)));
        let ingress = format!(
            "{start} 77 0.801 [default-app-80] [] 10.0.0.1:80, 10.0.0.2:80 0, 2750 0.300, 0.500 \
             504, 200 4d22c4ae"
        );
        read(&ingress, &|r| {
            assert_eq!((r.backend, r.server), (&b"default-app-80"[..], &b"10.0.0.2:80"[..]));
            assert_eq!(r.phases.of(EdgePhase::Wait), Span::mixed(500_000));
            assert_eq!((r.attempts[0].code, r.request_id), (Some(504), &b"4d22c4ae"[..]));
        });
    }

    #[test]
    fn a_line_of_none_is_rejected() {
        let parser = (FORMAT.parser)();
        let rejected = |line: &str| {
            parser.parse(line.as_bytes(), &CONTEXT, &mut Scratch::default()).unwrap_err()
        };
        assert_eq!(rejected("hello"), Reject::Incomplete("the time"));
        assert_eq!(rejected("192.0.2.7 50412 [x]"), Reject::Malformed("msec"));
    }
}
