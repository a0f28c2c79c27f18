//! What a task would wait for, asked again and again: nobody wakes anybody here.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// Turns after which what should come at once never will.
const TURNS_MAX: usize = 1_000_000;

/// Something that awaits its outcome.
pub(super) struct Waiting<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> Waiting<T> {
    pub(super) fn new(what: impl Future<Output = T> + Send + 'static) -> Self {
        Waiting(Box::pin(what))
    }

    /// The same, awaited.
    pub(super) fn outcome(self) -> impl Future<Output = T> + Send {
        self.0
    }

    /// Goes on with it. It is not to be asked again when it is ready.
    pub(super) fn poll(&mut self) -> Poll<T> {
        self.0.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }
}

/// The outcome of what waits for nobody: it lets others have the thread in between at most, and there are none.
pub(super) fn at_once<T>(what: impl Future<Output = T>) -> T {
    let mut what = pin!(what);
    for _ in 0..TURNS_MAX {
        if let Poll::Ready(outcome) = what.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return outcome;
        }
    }
    panic!("a broker on one thread waits for itself");
}
