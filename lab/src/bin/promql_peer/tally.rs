//! What came out of a comparison.

use std::time::Duration;

/// Counts and times so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Compared in earnest.
    pub queries: usize,
    /// Of these, how many differ.
    pub differing: usize,
    /// Those that differ on purpose, and still do.
    pub departing: usize,
    /// Of each range query: text, ours, theirs.
    times: Vec<(String, Duration, Duration)>,
}

impl Tally {
    /// Adds the times of one range query.
    pub fn add(&mut self, query: &str, ours: Duration, theirs: Duration) {
        self.times.push((query.to_owned(), ours, theirs));
    }

    /// Prints our slowest queries, both engines' times, and how many answers are equal.
    pub fn print(&self) {
        let mut slowest: Vec<_> = self.times.iter().collect();
        slowest.sort_by_key(|(_, ours, _)| std::cmp::Reverse(*ours));
        for (query, ours, theirs) in slowest.iter().take(8) {
            println!("{:8.2} ms, prometheus {:8.2} ms  {query}", ms(*ours), ms(*theirs));
        }
        let ours = self.times.iter().map(|t| t.1).collect();
        let theirs = self.times.iter().map(|t| t.2).collect();
        print_times("whyslow", ours);
        print_times("prometheus", theirs);
        let (equal, departing) = (self.queries - self.differing, self.departing);
        println!(
            "{equal} of {} queries equal to 1e-9; {departing} depart on purpose",
            self.queries
        );
    }
}

fn print_times(who: &str, mut times: Vec<Duration>) {
    times.sort();
    let Some(last) = times.len().checked_sub(1) else {
        return;
    };
    let at = |tenths: usize| ms(times[last * tenths / 10]);
    println!(
        "{who}: range query median {:.2} ms, p90 {:.2} ms, worst {:.2} ms",
        at(5),
        at(9),
        at(10)
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
