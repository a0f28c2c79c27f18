//! Two clients who are served while somebody else attacks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use inbox_tests::{Broker, RawClient, Version, wait_until};

/// A message with QoS 1 goes to and fro between the inboxes of two clients, and each is acknowledged before the next.
pub(crate) struct Service {
    rounds: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    pub(crate) fn start(broker: &Broker) -> Self {
        let (rounds, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut ping = RawClient::reader(broker, Version::V5, "service-ping", 1);
        let mut pong = RawClient::reader(broker, Version::V311, "service-pong", 1);
        let (counted, asked_to_end) = (rounds.clone(), ended.clone());
        let thread = thread::spawn(move || {
            while !asked_to_end.load(Relaxed) {
                let text = format!("round {}", counted.load(Relaxed));
                ping.publish("service-pong", &text, 1);
                assert_eq!(pong.receive_and_ack().text(), text);
                pong.publish("service-ping", &text, 1);
                assert_eq!(ping.receive_and_ack().text(), text);
                counted.fetch_add(1, Relaxed);
                // It shows that there is service, and is no load itself.
                thread::sleep(Duration::from_millis(1));
            }
        });
        let service = Service {
            rounds,
            ended,
            thread: Some(thread),
        };
        service.goes_on();
        service
    }

    /// Twenty more rounds are made from here on.
    pub(crate) fn goes_on(&self) {
        let wanted = self.rounds.load(Relaxed) + 20;
        wait_until("other clients are served", || {
            let thread = self.thread.as_ref().expect("the service was not ended");
            assert!(!thread.is_finished(), "other clients lost their service");
            self.rounds.load(Relaxed) >= wanted
        });
    }

    /// The attack is over, and so is this.
    pub(crate) fn end(mut self) {
        self.goes_on();
        self.ended.store(true, Relaxed);
        let thread = self.thread.take().expect("it is ended once");
        thread.join().expect("other clients were served to the end");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
    }
}
