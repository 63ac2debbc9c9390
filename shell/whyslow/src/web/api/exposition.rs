//! The Prometheus text format, version 0.0.4: what `/metrics` answers.
//!
//! Source: prometheus.io/docs/instrumenting/exposition_formats.

use whyslow_model::labels::{Labels, NAME};

use super::prometheus::numbers::push_value;

/// The content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family of series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises, except at a restart.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound.
    Histogram,
}

/// The text so far. All lines of one family follow each other.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    out: Vec<u8>,
}

impl Exposition {
    /// Begins a family; its samples follow.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        self.out
            .extend_from_slice(format!("# HELP {name} {help}\n# TYPE {name} {word}\n").as_bytes());
    }

    /// Adds a sample of the family begun last.
    pub fn sample<'a>(
        &mut self,
        name: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
        value: f64,
    ) {
        self.out.extend_from_slice(name.as_bytes());
        let mut separator = b'{';
        for (label, text) in labels {
            self.out.push(separator);
            separator = b',';
            self.out.extend_from_slice(label.as_bytes());
            self.out.extend_from_slice(b"=\"");
            self.push_label_value(text);
            self.out.push(b'"');
        }
        if separator == b',' {
            self.out.push(b'}');
        }
        self.out.push(b' ');
        push_value(&mut self.out, value);
        self.out.push(b'\n');
    }

    /// A family of one sample without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, [], value);
    }

    /// A histogram: how many lie within each bound and above the one before, and beyond the last.
    pub fn histogram(&mut self, name: &str, help: &str, bounds: &[f64], counts: &[u64], sum: f64) {
        self.family(name, Kind::Histogram, help);
        let mut all = 0;
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        for (bound, count) in bounds.zip(counts) {
            all += count;
            let mut le = Vec::new();
            push_value(&mut le, bound);
            let le = String::from_utf8_lossy(&le);
            self.sample(&format!("{name}_bucket"), [("le", le.as_ref())], float(all));
        }
        self.sample(&format!("{name}_sum"), [], sum);
        self.sample(&format!("{name}_count"), [], float(all));
    }

    /// Adds a stored series' value to the family of its name.
    pub fn series(&mut self, labels: &Labels, value: f64) {
        let name = labels.metric().unwrap_or_default().to_owned();
        self.sample(&name, labels.iter().filter(|(n, _)| *n != NAME), value);
    }

    /// The whole text.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    fn push_label_value(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                b'\\' => self.out.extend_from_slice(br"\\"),
                b'"' => self.out.extend_from_slice(br#"\""#),
                b'\n' => self.out.extend_from_slice(br"\n"),
                _ => self.out.push(byte),
            }
        }
    }
}

/// A count as a value.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_help_and_values_are_escaped_as_the_format_asks() {
        let mut e = Exposition::default();
        e.family("a_total", Kind::Counter, "one\nline \\ here");
        e.sample("a_total", [("x", "q\"\\\n"), ("y", "z")], f64::INFINITY);
        e.single("b", Kind::Gauge, "B.", 0.5);
        e.series(&Labels::from_pairs([("__name__", "b"), ("c", "d")]), 1.0);
        let text = String::from_utf8(e.into_bytes()).unwrap();
        assert_eq!(
            text,
            "# HELP a_total one\\nline \\\\ here\n# TYPE a_total counter\n\
             a_total{x=\"q\\\"\\\\\\n\",y=\"z\"} +Inf\n\
             # HELP b B.\n# TYPE b gauge\nb 0.5\nb{c=\"d\"} 1\n"
        );
    }

    #[test]
    fn a_histogram_counts_everything_up_to_each_bound() {
        let mut e = Exposition::default();
        e.histogram("h", "H.", &[0.5, 1.0], &[2, 0, 1], 3.5);
        let text = String::from_utf8(e.into_bytes()).unwrap();
        let samples: Vec<&str> = text.lines().skip(2).collect();
        let [half, one, all] = ["0.5", "1", "+Inf"].map(|le| format!("h_bucket{{le=\"{le}\"}}"));
        let wanted = [format!("{half} 2"), format!("{one} 2"), format!("{all} 3")];
        assert_eq!(samples[..3], wanted);
        assert_eq!(samples[3..], ["h_sum 3.5", "h_count 3"]);
    }
}
