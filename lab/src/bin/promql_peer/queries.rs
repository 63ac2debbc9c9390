//! The list of queries.

const QUERIES: &str = include_str!("../../../queries/promql.txt");

/// One query.
#[derive(Debug)]
pub struct Line {
    /// The text.
    pub query: String,
    /// Meant only for times at which samples lie.
    pub closed_only: bool,
    /// The order of an instant's samples counts.
    pub ordered: bool,
    /// Known to differ, on purpose.
    pub departs: bool,
}

/// Every query; times after `@` are moved by `later_s`.
pub fn all(later_s: i64) -> Vec<Line> {
    let lines = QUERIES.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines.map(|text| line(text, later_s)).collect()
}

fn line(text: &str, later_s: i64) -> Line {
    let (mark, query) = text.split_once(": ").unwrap_or(("", text));
    let (closed_only, departs) = (mark == "closed", mark == "departs");
    let query = if closed_only || departs { query } else { text };
    let ordered = query.starts_with("sort");
    Line { query: moved(query, later_s), closed_only, departs, ordered }
}

fn moved(query: &str, later_s: i64) -> String {
    let Some((before, after)) = query.split_once("@ 1") else {
        return query.to_owned();
    };
    let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    let time: i64 = format!("1{}", &after[..end]).parse().unwrap_or(0);
    format!("{before}@ {}{}", time + later_s, &after[end..])
}
