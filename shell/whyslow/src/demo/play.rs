//! Plays the script in real time, or faster.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::script::{Conditions, Fault, conditions, fault, until_change};

/// Something in the script that has just happened.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    /// A fault begins.
    Begins(&'static Fault),
    /// A fault is over.
    Ends(&'static Fault),
}

/// Sets the shop's conditions as the script says, `pace` times as fast as it is written, and tells
/// every change; until nobody listens any more.
pub async fn play(shop: watch::Sender<Conditions>, pace: f64, tell: mpsc::Sender<Change>) {
    let began = Instant::now();
    let mut present: Option<&'static Fault> = None;
    loop {
        let at = began.elapsed().mul_f64(pace);
        let next = fault(at);
        shop.send_replace(conditions(at));
        if next.map(|f| f.mark) != present.map(|f| f.mark) {
            let changes = present.map(Change::Ends).into_iter().chain(next.map(Change::Begins));
            for change in changes {
                if tell.send(change).await.is_err() {
                    return;
                }
            }
            present = next;
        }
        // At least a millisecond, so that a rounded-down rest does not spin.
        let rest = until_change(at).div_f64(pace).max(Duration::from_millis(1));
        tokio::time::sleep(rest).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::script::FAULTS;

    #[tokio::test(start_paused = true)]
    async fn every_fault_is_told_at_its_beginning_and_at_its_end() {
        let (shop, _conditions) = watch::channel(Conditions::default());
        let (tell, mut told) = mpsc::channel(1);
        let player = tokio::spawn(play(shop, 1.0, tell));
        for f in &FAULTS {
            let first = told.recv().await;
            assert!(matches!(first, Some(Change::Begins(b)) if b.mark == f.mark), "{first:?}");
            let second = told.recv().await;
            assert!(matches!(second, Some(Change::Ends(e)) if e.mark == f.mark), "{second:?}");
        }
        drop(told);
        player.await.unwrap();
    }
}
