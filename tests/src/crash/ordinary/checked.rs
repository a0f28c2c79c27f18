//! How much was checked.

use std::fmt;

/// Of what is retained.
#[derive(Debug, Clone, Copy, Default)]
pub struct RetainedChecked {
    /// Retained publishes that were acknowledged; those that clear are among them.
    pub pubacks: u64,
    /// Looks.
    pub looks: u64,
    /// Topics in looks of which something was retained, and rightly.
    pub found: u64,
    /// Topics in looks of which nothing was retained, and rightly: most of these were cleared.
    pub empty: u64,
}

/// Of kept sessions.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionsChecked {
    /// Publishes that were acknowledged.
    pub pubacks: u64,
    /// Acknowledged messages that a session had to get, each counted for each session.
    pub due: u64,
    /// Messages received by kept sessions.
    pub deliveries: u64,
    /// Received again because they had not been acknowledged.
    pub replayed: u64,
    /// Received again although they had been acknowledged.
    pub duplicates: u64,
    /// Sessions that had to be present, and were.
    pub resumed: u64,
    /// Sessions that were ended, and were not present.
    pub ended: u64,
    /// Acknowledged messages that never came.
    pub lost: u64,
    /// First deliveries out of order.
    pub out_of_order: u64,
}

/// Of wills.
#[derive(Debug, Clone, Copy, Default)]
pub struct WillsChecked {
    /// Of clients that disappeared after CONNACK, or were there when the broker ended.
    pub due: u64,
    /// Of clients that had said goodbye, durably.
    pub left: u64,
    /// Wills that came.
    pub published: u64,
    /// How often one came again, although it was not sent again.
    pub again: u64,
}

impl fmt::Display for WillsChecked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WillsChecked {
            due,
            left,
            published,
            again,
        } = self;
        write!(
            out,
            "wills: due {due}, came {published}, came again {again}; void by a goodbye {left}"
        )
    }
}

impl fmt::Display for RetainedChecked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RetainedChecked {
            pubacks,
            looks,
            found,
            empty,
        } = self;
        write!(
            out,
            "retained: PUBACKs and PUBRECs {pubacks}, looks {looks}, topics with what must be there {found}, rightly without {empty}"
        )
    }
}

impl fmt::Display for SessionsChecked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_million = self.duplicates as f64 * 1e6 / self.deliveries.max(1) as f64;
        write!(
            out,
            "kept sessions: PUBACKs and PUBRECs {}, for sessions {}, lost {}, out of order {}, deliveries {}, of which duplicates {} ({per_million:.0} \
             per million), replays of unacknowledged messages {}; resumed {}, ended {}",
            self.pubacks,
            self.due,
            self.lost,
            self.out_of_order,
            self.deliveries,
            self.duplicates,
            self.replayed,
            self.resumed,
            self.ended
        )
    }
}
