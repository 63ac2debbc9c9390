//! What waits to be sent: bounded, the oldest given up first, and counted.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::counters::Sent;

/// A piece that is sent whole.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) bytes: Bytes,
    /// How many lines or samples it holds.
    pub(super) items: u64,
}

/// Pieces in the order in which they are sent.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    bytes_max: usize,
    /// Told when there is something new, or an end.
    pub(super) wake: Notify,
    pub(super) sent: Sent,
}

#[derive(Debug, Default)]
struct Inner {
    pieces: VecDeque<(u64, Piece)>,
    bytes: usize,
    items: u64,
    next: u64,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { inner: Mutex::default(), bytes_max, wake: Notify::new(), sent: Sent::default() }
    }

    /// Appends a piece; gives up the oldest ones where there is no room.
    pub(super) fn push(&self, piece: Piece) {
        let mut inner = self.lock();
        inner.bytes += piece.bytes.len();
        inner.items += piece.items;
        let number = inner.next;
        inner.next += 1;
        inner.pieces.push_back((number, piece));
        while inner.bytes > self.bytes_max && inner.pieces.len() > 1 {
            if let Some(lost) = inner.take_first() {
                self.sent.dropped.add(lost.items);
            }
        }
        self.sent.pending.set(inner.items);
        drop(inner);
        self.wake.notify_one();
    }

    /// The oldest piece and its number; it stays.
    pub(super) fn first(&self) -> Option<(u64, Piece)> {
        self.lock().pieces.front().cloned()
    }

    /// Takes the piece of this number out; it may have been given up meanwhile.
    pub(super) fn done(&self, number: u64) -> bool {
        let mut inner = self.lock();
        let is_first = inner.pieces.front().is_some_and(|(n, _)| *n == number);
        if is_first {
            inner.take_first();
            self.sent.pending.set(inner.items);
        }
        is_first
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn take_first(&mut self) -> Option<Piece> {
        let (_, piece) = self.pieces.pop_front()?;
        self.bytes -= piece.bytes.len();
        self.items -= piece.items;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_where_there_is_no_room_and_is_counted() {
        let queue = Queue::new(10);
        for text in ["aaaa", "bbbb", "cccc"] {
            queue.push(Piece { bytes: Bytes::from(text), items: 2 });
        }
        let (number, first) = queue.first().unwrap();
        assert_eq!((&first.bytes[..], queue.sent.dropped.read()), (&b"bbbb"[..], 2));
        assert_eq!(queue.sent.pending.read(), 4);
        queue.push(Piece { bytes: Bytes::from("dddddd"), items: 1 });
        assert!(!queue.done(number), "it was given up meanwhile");
        let (number, _) = queue.first().unwrap();
        assert!(queue.done(number) && queue.sent.pending.read() == 1);
    }
}
