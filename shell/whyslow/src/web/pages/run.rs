//! One run: where its time went, what the kernel and TLS say, and its transcript.

use maud::{Markup, html};
use whyslow_model::{Observation, Phase};
use whyslow_probe::run::{Exchange, Outcome, PhasesMs, Run, Transcript};

use super::chart::phases;
use super::figures::{counted, exact_ms, limit, time, visible};
use super::frame::{outcome, run_path, section};
use super::model::{Plan, Point};
use super::when::{Span, escaped, rfc3339};

/// One run as it is known: the whole document, or only what was observed.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The observation of the run.
    pub seen: Observation,
    /// Its document, where it is still kept.
    pub document: Option<Run>,
    /// How it is measured now.
    pub plan: Option<Plan>,
    /// Whose each exchange's remote address is, in order; empty where nothing is known.
    pub owners: Vec<String>,
    /// The name of the vantage's network, where it is known.
    pub vantage: String,
    /// The run of the same check on other paths and vantages at about the same time.
    pub beside: Vec<Observation>,
}

/// A run's outcome word, total and phases from its observation alone.
pub fn point_of(seen: &Observation) -> Point {
    let value = |name: &str| seen.values.get(name).copied().unwrap_or(f64::NAN);
    Point {
        at_ms: seen.at.as_millis(),
        total_ms: value("total_ms"),
        ok: seen.words.get("outcome").is_none_or(|o| o != "failed"),
        phases_ms: Phase::ALL.map(|p| value(&format!("{}_ms", p.as_str()))),
    }
}

/// One word of an observation; empty where it has none.
pub fn word<'a>(seen: &'a Observation, name: &str) -> &'a str {
    seen.words.get(name).map_or("", String::as_str)
}

impl Shown {
    /// State, sentence and facts.
    pub fn verdict(&self, span: &Span) -> Markup {
        let word_ = word(&self.seen, "outcome");
        html! {
            div.verdict data-state=(word_) data-name="run" {
                p {
                    (outcome(word_))
                    @if let Some(plan) = &self.plan {
                        span.ink2 {
                            @if let Some(warn) = plan.warn_ms { "warn " (limit(warn)) ", " }
                            "timeout " (limit(plan.timeout_ms))
                        }
                    }
                }
                h1 { (visible(&self.sentence())) }
                @if let Some(text) = self.lead() { p.lead { (visible(&text)) } }
                @if let Some(run) = &self.document { @for warning in &run.warnings { p.lead.bad { (visible(warning)) } } }
                (self.facts(span))
            }
        }
    }

    fn sentence(&self) -> String {
        let point = point_of(&self.seen);
        let total = exact_ms(point.total_ms);
        let longest = point.longest();
        if !point.ok {
            let message =
                self.document.as_ref().and_then(|d| d.failure.as_ref()).map(|f| f.message.clone());
            let message = message.unwrap_or_else(|| word(&self.seen, "message").to_owned());
            let phase = word(&self.seen, "phase");
            let within = if phase.is_empty() { String::new() } else { format!(" in {phase}") };
            return format!("Failed{within} after {total} ms: {}.", message.trim_end_matches('.'));
        }
        if let Some(ping) = self.document.as_ref().and_then(|d| d.ping) {
            let avg = ping.rtt_ms.avg.map_or_else(
                || "no answer".to_owned(),
                |a| format!("{} ms on average", exact_ms(a)),
            );
            return format!("{} of {} packets answered, {avg}.", ping.received, ping.sent);
        }
        match longest {
            Some((phase, ms)) if ms < point.total_ms => {
                let lost = if phase == Phase::Connect && self.syns_again() > 0 {
                    ": the first SYN was lost"
                } else {
                    ""
                };
                format!("{total} ms, of which {} ms in {}{lost}.", exact_ms(ms), phase.as_str())
            }
            _ => format!("{total} ms."),
        }
    }

    /// SYNs that had to be sent again.
    fn syns_again(&self) -> u32 {
        let exchanges = self.document.iter().flat_map(|d| &d.exchanges);
        exchanges.filter_map(|e| e.tcp?.syn_retransmits).sum()
    }

    /// What explains the sentence, if anything does.
    fn lead(&self) -> Option<String> {
        let run = self.document.as_ref()?;
        if let Some(failure) = &run.failure {
            let hint = failure.segment_hint.map_or(String::new(), |s| {
                format!(" One failed run points at {}; other paths and vantages tell whether it is that.", s.as_str())
            });
            return Some(format!("{}.{hint}", failure.code));
        }
        let again: u32 = run.exchanges.iter().filter_map(|e| e.tcp?.retransmits).sum();
        let syns = self.syns_again();
        if again > 0 {
            let segments = counted(usize::try_from(again).unwrap_or(usize::MAX), "segment");
            let of_these = if syns > 0 { format!(", {syns} of them SYNs") } else { String::new() };
            return Some(format!("This vantage had to send {segments} again{of_these}."));
        }
        (run.outcome == Outcome::Slow)
            .then(|| "No segment had to be sent again by this vantage.".to_owned())
    }

    fn facts(&self, span: &Span) -> Markup {
        let at = self.seen.at.as_millis();
        let cohort = &self.seen.cohort;
        let remote = word(&self.seen, "remote");
        let target = self.document.as_ref().map(|d| d.target.as_str());
        let target = target.or(self.plan.as_ref().map(|p| p.target.as_str())).unwrap_or("");
        let owner = self.owners.iter().rfind(|o| !o.is_empty());
        html! {
            dl.facts {
                div { dt { "Check" } dd {
                    b { (visible(cohort.check.as_deref().unwrap_or(""))) }
                    (visible(word(&self.seen, "kind")))
                    @if let Some(plan) = &self.plan { ", every " (limit(plan.every_ms)) }
                    ", path " (visible(cohort.path.as_deref().unwrap_or("")))
                } }
                div { dt { "From" } dd {
                    b { (visible(cohort.vantage.as_deref().unwrap_or(&self.seen.agent))) }
                    (self.vantage_network())
                } }
                div { dt { "To" } dd {
                    b.mono { @if remote.is_empty() { "no address" } @else { (visible(remote)) } }
                    @if let Some(owner) = owner { (owner) br; }
                    (visible(target))
                } }
                div { dt { "Started" } dd {
                    b { time datetime=(rfc3339(at)) { (span.clock_ms(at)) } }
                    (span.day(at)) ", " (span.zone())
                } }
            }
        }
    }

    /// `AS64500 Example Net, GB` as the cohort and the tables say.
    fn vantage_network(&self) -> String {
        let cohort = &self.seen.cohort;
        let asn = cohort.asn.map(|n| format!("AS{n} {}", self.vantage).trim_end().to_owned());
        let parts: Vec<String> = asn.into_iter().chain(cohort.country.clone()).collect();
        visible(&parts.join(", "))
    }

    /// The bar of phases and the exchanges under it.
    pub fn where_the_time_went(&self) -> Markup {
        let point = point_of(&self.seen);
        let key = html! { p.key.end {
            @for (phase, ms) in Phase::ALL.into_iter().zip(point.phases_ms).filter(|(_, ms)| ms.is_finite()) {
                span {
                    svg width="10" height="10" aria-hidden="true" { rect class=(phase.as_str()) width="10" height="10" { } }
                    (phase.as_str()) " " b { (exact_ms(ms)) }
                }
            }
            span { "total " b { (exact_ms(point.total_ms)) } }
        } };
        let content = html! {
            figure {
                (self.summary_bar(&point))
                @match &self.document {
                    Some(run) if !run.exchanges.is_empty() => (waterfall(run, &self.owners)),
                    Some(run) => (single(&run.phases_ms, run.total_ms)),
                    None => { (observed(&point)) p.note { "The document of this run is not kept any more; these are its figures." } }
                }
            }
        };
        section(
            "time",
            "Where the time went",
            "phases in ms; they add up to the total",
            Some(key),
            &content,
        )
    }

    fn summary_bar(&self, point: &Point) -> Markup {
        let total = point.total_ms.max(0.001);
        #[expect(clippy::cast_precision_loss, reason = "thresholds are far below 2^53 ms")]
        let warn =
            self.plan.as_ref().and_then(|p| p.warn_ms).map(|w| w as f64).filter(|w| *w < total);
        html! {
            div.sum {
                (phases::bar(point, total, 18))
                svg.p width="100%" height="16" aria-hidden="true" {
                    text x="0" y="12" { "0" }
                    @if let Some(warn) = warn {
                        @let left = format!("{:.2}%", warn * 100.0 / total);
                        line.mk x1=(left) x2=(left) y1="-18" y2="4" { }
                        text.halo x=(left) dx="-4" y="12" text-anchor="end" { "warn " (time(warn)) }
                    }
                    text x="100%" y="12" text-anchor="end" { (exact_ms(point.total_ms)) " ms" }
                }
            }
        }
    }

    /// The same check on other paths and from other vantages, slowest first.
    pub fn beside(&self, span: &Span) -> Markup {
        if self.beside.is_empty() {
            return html! {};
        }
        let mut all: Vec<&Observation> = self.beside.iter().chain([&self.seen]).collect();
        all.sort_by(|a, b| point_of(b).total_ms.total_cmp(&point_of(a).total_ms));
        let scale = all.iter().map(|o| point_of(o).total_ms).fold(0.001, f64::max) * 1.02;
        let table = html! {
            div.tw { table.peers {
                thead { tr { th { "Path" } th { "Vantage" } th { "Outcome" } th.n { "Total" } th.wf { "0 to " (exact_ms(scale)) " ms" } } }
                tbody { @for o in &all {
                    @let own = o.id == self.seen.id;
                    @let point = point_of(o);
                    tr.hot[own] {
                        th scope="row" { @match run_path(&o.id) {
                            Some(path) if !own => a href=(span.link(&path)) { (visible(o.cohort.path.as_deref().unwrap_or(""))) },
                            _ => (visible(o.cohort.path.as_deref().unwrap_or(""))),
                        } }
                        td { (visible(o.cohort.vantage.as_deref().unwrap_or(&o.agent))) }
                        td { (outcome(word(o, "outcome"))) }
                        td.n.bad[!point.ok] { (exact_ms(point.total_ms)) }
                        td.wf { (phases::bar(&point, scale, 10)) }
                    }
                } }
            } }
        };
        section(
            "beside",
            "The same check at the same time",
            "all paths and vantages; ms",
            None,
            &table,
        )
    }

    /// Kernel and TLS facts of the last exchange that has them.
    pub fn connection(&self) -> Markup {
        let Some(run) = &self.document else { return html! {} };
        let tcp = run.exchanges.iter().rev().find_map(|e| e.tcp);
        let tls = run.exchanges.iter().rev().find_map(|e| e.tls.as_ref());
        if tcp.is_none() && tls.is_none() {
            return html! {};
        }
        html! { div.cols {
            @if let Some(tcp) = tcp {
                (section("tcp", "TCP", "from the kernel of the vantage", None, &html! { dl.kv {
                    div { dt { "RTT at the end" } dd { (known(tcp.rtt_ms.map(time))) } }
                    div { dt { "Smallest RTT" } dd { (known(tcp.min_rtt_ms.map(time))) } }
                    @if let Some(syns) = tcp.syn_retransmits.filter(|n| *n > 0) {
                        div { dt { "SYN sent" } dd.bad { (syns + 1) " times" } }
                    }
                    div { dt { "Segments sent again" } dd.bad[tcp.retransmits.is_some_and(|n| n > 0)] { (known(tcp.retransmits.map(|n| n.to_string()))) } }
                } }))
            }
            @if let Some(tls) = tls { (section("tls", "TLS", "", None, &tls_facts(tls))) }
        } }
    }

    /// The transcript, or why there is none, and the way to the document itself.
    pub fn transcript(&self) -> Markup {
        let id: Vec<String> = self.seen.id.split('/').map(escaped).collect();
        let document = self.document.as_ref().map(|_| {
            html! { a.end.meta href={ "/api/v1/runs/" (id.join("/")) } { "This run as JSON" } }
        });
        match self.document.as_ref().and_then(|d| d.transcript.as_ref()) {
            Some(transcript) => {
                let note =
                    "kept because the run was slow or failed; secrets and query values are removed";
                section("transcript", "Transcript", note, document, &transcript_text(transcript))
            }
            None if word(&self.seen, "outcome") == "ok" => {
                html! { p.note { "Runs within their limits keep no transcript. " @if let Some(link) = document { (link) } } }
            }
            None => html! {},
        }
    }

    /// What a DNS run was answered.
    pub fn dns(&self) -> Markup {
        let Some(dns) = self.document.as_ref().and_then(|d| d.dns.as_ref()) else {
            return html! {};
        };
        section(
            "dns",
            "Answer",
            "",
            None,
            &html! { dl.kv {
                div { dt { "Server" } dd.mono { (visible(&dns.server)) } }
                div { dt { "Code" } dd { (known(dns.rcode.as_deref().map(visible))) } }
                @for answer in &dns.answers { div { dt { "Record" } dd.mono { (visible(answer)) } } }
            } },
        )
    }
}

fn known(text: Option<String>) -> String {
    text.unwrap_or_else(|| "not seen".to_owned())
}

fn tls_facts(tls: &whyslow_probe::run::TlsFacts) -> Markup {
    let session = match tls.resumed {
        Some(true) => ", resumed session",
        Some(false) => ", new session",
        None => "",
    };
    let leaf = tls.chain.first();
    html! {
        dl.kv {
            div { dt { "Version" } dd { (known(tls.version.as_deref().map(visible))) (session) } }
            div { dt { "Cipher" } dd { (known(tls.cipher.as_deref().map(visible))) } }
            div { dt { "Protocol chosen" } dd { (tls.alpn.as_deref().map_or_else(|| "none".to_owned(), visible)) } }
            @if let (Some(days), Some(end)) = (tls.days_left, tls.not_after) {
                div { dt { "Certificate" } dd.bad[days < 14] {
                    @if let Some(leaf) = leaf { (visible(leaf.names.first().unwrap_or(&leaf.subject))) ", " }
                    (days) " days left, until " time datetime=(end) { (end.to_string().split('T').next().unwrap_or("")) }
                } }
            }
            div { dt { "Chain" } dd.bad[tls.chain_ok == Some(false)] {
                @match (tls.chain_ok, &tls.chain_problem) {
                    (Some(true), _) => { "trusted" @if !tls.chain.is_empty() { ", " (tls.chain.len()) " certificates" } }
                    (Some(false), problem) => (visible(problem.as_deref().unwrap_or("not trusted"))),
                    (None, _) => "none was shown",
                }
            } }
            @for (i, certificate) in tls.chain.iter().enumerate().skip(1) {
                div { dt { "Issuer " (i) } dd { (visible(&certificate.subject)) } }
            }
        }
    }
}

/// The exchanges under each other on one scale, as they happened.
fn waterfall(run: &Run, owners: &[String]) -> Markup {
    let total = run.total_ms.max(0.001);
    let mut at = 0.0;
    html! {
        div.tw { table.fall {
            thead { tr { th colspan="2" { "Exchange" } th { "Code" } th.n { "ms" } th.wf { span.unseen { "0 to the total" } } } }
            tbody {
                @for (i, exchange) in run.exchanges.iter().enumerate() {
                    tr.ex {
                        th scope="row" colspan="2" {
                            (i + 1) "\u{a0} " (visible(&exchange.url))
                            @if let Some(remote) = &exchange.remote {
                                small.mono { (visible(remote)) }
                                @if let Some(owner) = owners.get(i).filter(|o| !o.is_empty()) { small { (owner) } }
                            }
                            @if exchange.reused_connection { small { "same connection" } }
                        }
                        td { @if let Some(status) = exchange.status { (status) } }
                        td.n { b { (exact_ms(exchange.total_ms)) } }
                        td { }
                    }
                    (rows(exchange, run, &mut at, total))
                }
            }
        } }
        @if run.exchanges.iter().any(|e| e.reused_connection) {
            p.note { small { "An exchange on the same connection has no resolve, connect or tls." } }
        }
    }
}

/// One line per phase of an exchange; `at` moves on.
fn rows(exchange: &Exchange, run: &Run, at: &mut f64, total: f64) -> Markup {
    let mut lines = Vec::new();
    for phase in Phase::ALL {
        let Some(ms) = exchange.phases_ms.of(phase) else { continue };
        lines.push((phase, ms, *at));
        *at += ms;
    }
    let failed = run.failure.as_ref().and_then(|f| f.phase);
    let is_last = run.exchanges.last().is_some_and(|last| std::ptr::eq(last, exchange));
    html! { @for (phase, ms, from) in lines { tr {
        td { }
        td { (phase.as_str()) @if is_last && failed == Some(phase) { small.bad { "failed here" } } }
        td { }
        td.n { (exact_ms(ms)) }
        td.wf { svg.p width="100%" height="16" aria-hidden="true" {
            rect class=(phase.as_str()) x={ (format!("{:.2}", from * 100.0 / total)) "%" } y="2"
                width={ (format!("{:.2}", (ms * 100.0 / total).max(0.15))) "%" } height="12" { }
        } }
    } } }
}

fn single(phases: &PhasesMs, total_ms: f64) -> Markup {
    let phases_ms = Phase::ALL.map(|p| phases.of(p).unwrap_or(f64::NAN));
    observed(&Point { at_ms: 0, total_ms, ok: true, phases_ms })
}

fn observed(point: &Point) -> Markup {
    html! { div.tw tabindex="0" role="region" aria-label="Phases" { table {
        thead { tr { @for phase in Phase::ALL { th.n { (phase.as_str()) } } th.n { "total, ms" } } }
        tbody { tr { @for ms in point.phases_ms { td.n { (exact_ms(ms)) } } td.n { b { (exact_ms(point.total_ms)) } } } }
    } } }
}

fn transcript_text(transcript: &Transcript) -> Markup {
    html! {
        pre tabindex="0" {
            @for line in &transcript.lines {
                i { (format!("{:>8.1}", line.at_ms)) } " "
                // A line of several, such as a head, keeps its lines; the rest is made visible.
                @for (n, text) in line.text.lines().enumerate() {
                    @if n > 0 { "\n         " }
                    @if line.notable { b { (visible(text)) } } @else { (visible(text)) }
                }
                "\n"
            }
        }
        @if let Some(body) = &transcript.body_excerpt {
            details.tbl { summary { "The start of the body" }
                pre tabindex="0" { @for line in body.lines() { (visible(line)) "\n" } } }
        }
    }
}
