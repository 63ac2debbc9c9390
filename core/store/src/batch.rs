//! Samples on their way in: few allocations however many series there are.

use whyslow_model::Sample;

/// Points of many series in flat columns.
///
/// Call [`Columns::series`], then [`Columns::point`] for each of its points.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    text: String,
    labels: Vec<LabelSpan>,
    series: Vec<SeriesEnd>,
    times_ms: Vec<i64>,
    values: Vec<f64>,
}

/// Where in the text one label lies: its name, and right behind it its value.
#[derive(Clone, Copy, Debug)]
struct LabelSpan {
    start: usize,
    name: usize,
    value: usize,
}

/// Where one series' labels and points end; they begin where the one before ends.
#[derive(Clone, Copy, Debug)]
struct SeriesEnd {
    labels: usize,
    points: usize,
}

/// One series of [`Columns`].
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    text: &'a str,
    labels: &'a [LabelSpan],
    /// Milliseconds since the epoch.
    pub times_ms: &'a [i64],
    /// As many values.
    pub values: &'a [f64],
}

impl<'a> Entry<'a> {
    /// The labels, names strictly ascending, no value empty.
    pub fn labels(&self) -> impl Iterator<Item = (&'a str, &'a str)> + Clone + use<'a> {
        let text = self.text;
        self.labels.iter().map(move |l| {
            let middle = l.start + l.name;
            (&text[l.start..middle], &text[middle..middle + l.value])
        })
    }
}

impl Columns {
    /// Begins a series. Labels may come in any order; the last of a name given twice counts,
    /// and an empty value is an absent label.
    pub fn series<'a>(&mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let first = self.labels.len();
        let mut ascends = true;
        for (name, value) in labels {
            if let Some(last) = self.labels[first..].last() {
                ascends &= self.text[last.start..last.start + last.name] < *name;
            }
            ascends &= !value.is_empty();
            let start = self.text.len();
            self.text.push_str(name);
            self.text.push_str(value);
            self.labels.push(LabelSpan { start, name: name.len(), value: value.len() });
        }
        if !ascends {
            self.put_in_order(first);
        }
        self.series.push(SeriesEnd { labels: self.labels.len(), points: self.times_ms.len() });
    }

    /// Adds a point to the series begun last; without one it is dropped.
    pub fn point(&mut self, at_ms: i64, value: f64) {
        if let Some(last) = self.series.last_mut() {
            self.times_ms.push(at_ms);
            self.values.push(value);
            last.points = self.times_ms.len();
        }
    }

    /// Adds a series of one point.
    pub fn sample(&mut self, sample: &Sample) {
        self.series(sample.labels.iter());
        self.point(sample.at_ms, sample.value);
    }

    /// Adds all series of another batch behind its own.
    pub fn append(&mut self, other: &Self) {
        let (text, labels, points) = (self.text.len(), self.labels.len(), self.times_ms.len());
        self.text.push_str(&other.text);
        self.labels.extend(other.labels.iter().map(|l| LabelSpan { start: text + l.start, ..*l }));
        let moved = |end: &SeriesEnd| SeriesEnd {
            labels: labels + end.labels,
            points: points + end.points,
        };
        self.series.extend(other.series.iter().map(moved));
        self.times_ms.extend_from_slice(&other.times_ms);
        self.values.extend_from_slice(&other.values);
    }

    /// How many points there are.
    pub const fn len(&self) -> usize {
        self.times_ms.len()
    }

    /// Whether there is no point.
    pub const fn is_empty(&self) -> bool {
        self.times_ms.is_empty()
    }

    /// The series in the order in which they came.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut before = SeriesEnd { labels: 0, points: 0 };
        self.series.iter().map(move |end| {
            let entry = Entry {
                text: &self.text,
                labels: &self.labels[before.labels..end.labels],
                times_ms: &self.times_ms[before.points..end.points],
                values: &self.values[before.points..end.points],
            };
            before = *end;
            entry
        })
    }

    fn put_in_order(&mut self, first: usize) {
        let text = &self.text;
        let name = |l: &LabelSpan| &text[l.start..l.start + l.name];
        let mut own = self.labels.split_off(first);
        // Stable, so of equal names the last given stays last.
        own.sort_by(|a, b| name(a).cmp(name(b)));
        for (i, label) in own.iter().enumerate() {
            let repeated = own.get(i + 1).is_some_and(|next| name(next) == name(label));
            if !repeated && label.value > 0 {
                self.labels.push(*label);
            }
        }
    }
}

/// Why a sample was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The series has another value at that time.
    Conflict,
    /// It is older than the out-of-order window or the retention.
    TooOld,
    /// It is further ahead of the clock than clocks are wrong.
    TooNew,
    /// The store holds as many series as it may.
    SeriesLimit,
    /// No label, too many labels, or one too long.
    Labels,
}

/// What became of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Taken.
    pub appended: u64,
    /// Taken, though older than the series' newest; part of `appended`.
    pub late: u64,
    /// Ignored: the same time and value were there.
    pub duplicates: u64,
    /// Refused as [`Refusal::Conflict`].
    pub conflicts: u64,
    /// Refused as [`Refusal::TooOld`].
    pub too_old: u64,
    /// Refused as [`Refusal::TooNew`].
    pub too_new: u64,
    /// Refused as [`Refusal::SeriesLimit`].
    pub series_limit: u64,
    /// Refused as [`Refusal::Labels`].
    pub labels: u64,
}

impl Tally {
    /// Counts `n` samples refused.
    pub const fn refuse(&mut self, why: Refusal, n: u64) {
        match why {
            Refusal::Conflict => self.conflicts += n,
            Refusal::TooOld => self.too_old += n,
            Refusal::TooNew => self.too_new += n,
            Refusal::SeriesLimit => self.series_limit += n,
            Refusal::Labels => self.labels += n,
        }
    }

    /// All that was refused.
    pub const fn refused(&self) -> u64 {
        self.conflicts + self.too_old + self.too_new + self.series_limit + self.labels
    }

    /// Adds another's counts.
    pub const fn add(&mut self, other: &Self) {
        self.appended += other.appended;
        self.late += other.late;
        self.duplicates += other.duplicates;
        self.conflicts += other.conflicts;
        self.too_old += other.too_old;
        self.too_new += other.too_new;
        self.series_limit += other.series_limit;
        self.labels += other.labels;
    }
}

#[cfg(test)]
mod tests {
    use whyslow_model::Labels;

    use super::*;

    #[test]
    fn labels_come_out_as_a_label_set_would_have_them() {
        let given = [("b", "1"), ("a", "2"), ("c", ""), ("b", "3"), ("d", "x"), ("d", "")];
        let mut columns = Columns::default();
        columns.series(given);
        columns.point(1, 2.0);
        columns.series([("z", "1")]);
        let entries: Vec<_> = columns.entries().collect();
        let set = Labels::from_pairs(given);
        assert!(entries[0].labels().eq(set.iter()), "{set}");
        assert_eq!((entries[0].times_ms, entries[0].values), (&[1][..], &[2.0][..]));
        assert!(entries[1].labels().eq([("z", "1")]) && entries[1].times_ms.is_empty());
    }

    #[test]
    fn two_batches_make_one_in_which_every_series_keeps_its_own() {
        let one = |name: &'static str, at_ms| {
            let mut columns = Columns::default();
            columns.series([("a", name), ("b", "x")]);
            columns.point(at_ms, 1.0);
            columns.series([("c", name)]);
            columns.point(at_ms, 2.0);
            columns.point(at_ms + 1, 3.0);
            columns
        };
        let mut both = one("first", 10);
        both.append(&one("second", 20));
        let seen: Vec<(String, Vec<i64>)> = both
            .entries()
            .map(|e| (Labels::from_pairs(e.labels()).to_string(), e.times_ms.to_vec()))
            .collect();
        let want = [
            (r#"{a="first",b="x"}"#, vec![10]),
            (r#"{c="first"}"#, vec![10, 11]),
            (r#"{a="second",b="x"}"#, vec![20]),
            (r#"{c="second"}"#, vec![20, 21]),
        ];
        assert_eq!(seen, want.map(|(labels, times)| (labels.to_owned(), times)));
    }
}
