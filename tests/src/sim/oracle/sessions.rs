//! What the broker may make of CONNECT, what it may answer to SUBSCRIBE, and what a session holds from then on.

use super::absence::Owner;
use super::{Attachment, Check, Filter, Oracle, Session};

/// What a client asked for by CONNECT.
#[derive(Clone, Copy)]
pub(super) struct Hello {
    pub(super) tick: u64,
    /// A clean start, and a session that does not expire.
    pub(super) clean: bool,
    pub(super) for_ever: bool,
    /// Its will, and for how many microseconds that waits when the connection has ended.
    pub(super) will: Option<(usize, u64)>,
    /// Whether its session has a past; `None`: it is not open yet.
    pub(super) is_resumed: Option<bool>,
}

impl Hello {
    pub(super) fn new(tick: u64, clean: bool, for_ever: bool, will: Option<(usize, u64)>) -> Self {
        Hello {
            tick,
            clean,
            for_ever,
            will,
            is_resumed: None,
        }
    }
}

impl Oracle {
    /// The session of a client is open that has sent CONNECT. CONNACK, which tells of it, may wait for a will, and never come.
    pub(in crate::sim) fn opens(&mut self, at: usize, present: bool) -> Check {
        let Some(link) = self.links.get_mut(&at) else {
            return Ok(());
        };
        let Some(hello) = &mut link.hello else {
            return Err("a session was opened before CONNECT".into());
        };
        let Hello {
            tick, clean, for_ever, ..
        } = *hello;
        hello.is_resumed = Some(present);
        if present && clean {
            return Err("session present although a clean start was asked for (MQTT-3.2.2-2)".into());
        }
        let session = &mut self.sessions[link.client];
        if !present && !clean && session.for_ever {
            return Err("a session that does not expire is gone (MQTT-3.1.2-5)".into());
        }
        if !present {
            *session = Session::default();
        }
        session.for_ever = for_ever;
        if session.reads.is_some() {
            self.owners[link.client].comes(self.now);
            self.ledger.has_reader(link.client);
        }
        link.attachment = session.reads.map(|(qos, no_local)| Attachment {
            since: tick,
            cursor: 0,
            qos,
            no_local,
            dropped: self.ledger.unread(link.client).0,
        });
        self.comes_with_will(at);
        Ok(())
    }

    pub(super) fn connack(&mut self, at: usize, present: bool, code: u8) -> Check {
        let Some(link) = self.links.get(&at) else {
            return Ok(());
        };
        match (link.hello.and_then(|hello| hello.is_resumed), code) {
            (Some(is_resumed), 0) if is_resumed == present => {
                self.will_is_kept(at);
                Ok(())
            }
            (Some(_), 0) => Err(format!("CONNACK says session present {present}, and that is not so")),
            (None, 0) => Err("CONNACK came before a session".into()),
            (_, code) => Err(format!("CONNECT was refused with {code:#04x}")),
        }
    }

    pub(super) fn suback(&mut self, at: usize, packet_id: u16, codes: &[u8]) -> Check {
        let Some(link) = self.links.get_mut(&at) else {
            return Ok(());
        };
        let Some((what, since)) = link.subscribes.remove(&packet_id) else {
            return Err(format!("SUBACK {packet_id} answers no SUBSCRIBE"));
        };
        match (what, codes) {
            (Filter::Own { qos, no_local }, [code]) if *code == qos => {
                match link.attachment.as_mut() {
                    // It reads on: nothing starts over, unless it wants its own messages now and did not before (rule 4).
                    Some(attachment) if no_local || !attachment.no_local => {
                        (attachment.qos, attachment.no_local) = (qos, no_local);
                    }
                    _ => {
                        // A reader that starts over is sent one message again, whatever it has not taken.
                        link.publishes.clear();
                        link.attachment = Some(Attachment {
                            since,
                            cursor: 0,
                            qos,
                            no_local,
                            dropped: self.ledger.unread(link.client).0,
                        });
                    }
                }
                self.owners[link.client].comes(self.now);
                self.sessions[link.client].reads = Some((qos, no_local));
                self.ledger.has_reader(link.client);
                Ok(())
            }
            (Filter::Anothers, [0x80 | 0x87]) | (Filter::Ordinary, [0..=2]) => Ok(()),
            _ => Err(format!("rule 2: {what:?} was answered with {codes:02x?}")),
        }
    }

    /// There are so many clients instead.
    pub(in crate::sim) fn have_clients(&mut self, clients: usize) {
        self.sessions = (0..clients).map(|_| Session::default()).collect();
        self.owners = (0..clients).map(|_| Owner::default()).collect();
    }
}
