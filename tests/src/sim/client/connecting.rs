//! How a client comes: CONNECT.

use super::{Client, Manner, Sent, body};
use crate::sim::ledger::Ledger;
use crate::sim::oracle::Said;
use crate::sim::random::Random;
use crate::{Connect, Props, Version, Will, property};

impl Client {
    /// CONNECT. With `plain`, as a patient client that keeps all rules and waits for everything.
    pub(in crate::sim) fn connect(&mut self, random: &mut Random, ledger: &mut Ledger, plain: bool) -> Sent {
        self.manner = match random.below(8) {
            _ if plain => Manner::AtOnce,
            0..4 => Manner::AtOnce,
            4 | 5 => Manner::Late,
            6 => Manner::OutOfOrder,
            _ => Manner::Never,
        };
        self.clean = plain || random.percent(30) || self.ends_at_once;
        // A publish that was begun without a receive maximum could not be resumed under one.
        if self.clean || self.open.is_empty() {
            self.version = if plain || random.percent(65) {
                Version::V5
            } else {
                Version::V311
            };
        }
        let v5 = self.version == Version::V5;
        let expiry = if plain {
            u32::MAX
        } else {
            random.pick(&[0, 1, 30, u32::MAX, u32::MAX])
        };
        let expiry = if self.ends_at_once { 0 } else { expiry };
        let window = if plain {
            65_535
        } else {
            random.pick(&[1, 2, 3, 8, 65_535])
        };
        let mut connect = Connect::new(self.version, &self.names[self.at]);
        connect.clean = self.clean;
        if !plain && random.percent(20) {
            connect = connect.keep_alive(random.between(5, 60) as u16);
        }
        if v5 {
            let props = Props::new().four(property::SESSION_EXPIRY, expiry);
            connect = connect.props(props.two(property::RECEIVE_MAXIMUM, window));
        }
        connect = self.log_in(connect, random, plain);
        let has_wills = self.persona.as_ref().is_none_or(|persona| persona.has_wills);
        let mut left = None;
        let mut delay = 0;
        if !plain && has_wills && random.percent(15) {
            let to = random.below(self.names.len());
            let qos = random.below(3) as u8;
            let mail = ledger.sending(self.at, to, qos, None);
            ledger.get_mut(mail).is_will = true;
            left = Some(mail);
            let mut will = Will::new(&self.names[to], "");
            (will.qos, will.payload) = (qos, body(ledger, Some(mail), 0));
            if v5 && random.percent(50) {
                delay = random.between(1, 20) as u32;
                will.props = Props::new().four(property::WILL_DELAY, delay);
            }
            connect = connect.will(will);
        }
        if let Some(persona) = self.persona.as_mut() {
            persona.will = left;
        }
        if self.clean {
            self.forget();
        }
        let for_ever = if v5 { expiry == u32::MAX } else { !self.clean };
        let window = if v5 { usize::from(window) } else { 65_535 };
        (
            connect.encode(),
            Said::Connect {
                version: self.version,
                window,
                clean: self.clean,
                for_ever,
                // It is due when the session ends at the latest (MQTT 5, section 3.1.3.2.2).
                will: left.map(|mail| (mail, u64::from(delay.min(expiry)) * 1_000_000)),
            },
        )
    }
}
