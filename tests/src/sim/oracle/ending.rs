//! What must hold once a run is quiet: every publish and subscription is answered, and
//! nothing that was promised is missing.

use super::{Check, Oracle};

impl Oracle {
    /// With everything delivered: nobody who reads misses anything, and every publish is answered.
    pub(in crate::sim) fn check_quiet(&self) -> Check {
        for (at, link) in &self.links {
            if let Some((packet_id, _)) = link.answers_1.front() {
                return Err(format!(
                    "rule 3: link {at} never got an answer to its publish {packet_id}"
                ));
            }
            if let Some(packet_id) = link.answers_2.front() {
                return Err(format!(
                    "rule 3: link {at} never got an answer to its QoS 2 publish {packet_id}"
                ));
            }
            if !link.subscribes.is_empty() {
                return Err(format!("link {at} never got its SUBACK"));
            }
            if link.attachment.is_some() {
                self.check_skipped(*at, u64::MAX)?;
            }
        }
        Ok(())
    }

    /// With everything read and acknowledged: nothing that was promised is left anywhere.
    pub(in crate::sim) fn check_empty(&self) -> Check {
        self.notices.check_told()?;
        self.rooms.check_told()?;
        self.receipts.check_told(&self.ledger)?;
        self.amending.check_replaced(&self.ledger)?;
        self.check_wills_are_kept()?;
        match (0..self.ledger.len()).find(|at| self.ledger.must_be_there(*at)) {
            Some(at) => Err(format!(
                "rule 3: m{at} was acknowledged to its publisher and never came to its reader"
            )),
            None => Ok(()),
        }
    }
}
