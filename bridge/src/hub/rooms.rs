//! Telling senders that there is room again ([`crate::rooms`]).

use std::sync::Arc;

use inbox_types::{ClientId, Expiry, Now, Refusal, WantedRoom};

use super::{Hub, Shard};
use crate::mailbox::{Context, Mailbox};
use crate::notices;

/// Notices of room that one round makes: publishers wait for the same committer.
const TOLD_AT_ONCE: usize = 256;

impl Hub {
    /// `sender` was refused for `why`, and is to be told when there is room again for what it `wanted` to write.
    pub fn await_room(&self, sender: &ClientId, wanted: WantedRoom, why: Refusal) {
        let now = self.clock.now();
        let forgotten = match why {
            Refusal::InboxFull | Refusal::SenderShare => {
                let inbox = wanted.inbox.clone();
                self.step(&inbox, now, |mailbox, cx, fx| {
                    let forgotten = self.rooms.await_room(sender, wanted);
                    mailbox.awaited(cx, fx);
                    forgotten
                })
            }
            Refusal::DiskFull | Refusal::MemoryFull | Refusal::StoreTroubled => {
                self.rooms.make_due(sender.clone(), wanted)
            }
            // Neither will pass by itself.
            Refusal::LargerThanInbox | Refusal::OtherPayload | Refusal::StoreFailed => 0,
        };
        self.counters.rooms_forgotten.add(forgotten);
    }

    /// Tells those whom there is room for, unless the broker takes no mail at all.
    pub(super) fn tell_rooms(&self) {
        if !self.rooms.has_due() || self.refuses_all().is_some() {
            return;
        }
        let now = self.clock.now();
        let expiry = Expiry::new(self.age(now), None, self.limits.time_to_live);
        for (sender, wanted) in self.rooms.take_due(TOLD_AT_ONCE) {
            let was_told = self.step(&sender, now, |mailbox, cx, fx| {
                let Some(seq) = self.seq_to_keep(now) else {
                    return false;
                };
                let message = Arc::new(notices::room(&wanted.topic, seq, now.wall, expiry));
                #[cfg(feature = "testing")]
                inbox_types::given(&sender, seq, &message);
                mailbox.publish(seq, message, None, cx, fx);
                true
            });
            self.counters.rooms_told.add(u64::from(was_told));
        }
        if self.rooms.has_due() {
            self.alarm.want(now.mono);
        }
    }

    /// Every second: whoever was told of room may not have used it, and the next one is told.
    pub fn pass_room_on(&self) {
        self.look_for_room(self.rooms.take_again());
        self.tell_rooms();
    }

    /// There may be room everywhere: inboxes are larger than before.
    pub(super) fn look_everywhere_for_room(&self) {
        self.look_for_room(self.rooms.awaited());
    }

    fn look_for_room(&self, inboxes: impl IntoIterator<Item = ClientId>) {
        let now = self.clock.now();
        for inbox in inboxes {
            self.step(&inbox, now, Mailbox::awaited);
        }
    }

    /// An inbox came into memory: it does not know who waits for it.
    pub(super) fn was_awaited(&self, shard: &mut Shard, inbox: &ClientId, now: Now) {
        if self.rooms.is_awaited(inbox) {
            self.step_locked(shard, inbox, now, Mailbox::awaited);
        }
    }

    /// What an inbox may have room for. Who is to be told is told by the next round of the committer, with no inbox locked.
    pub(super) fn offer_room(&self, mailbox: &mut Mailbox, cx: Context) {
        let Some(offers) = mailbox.offers(cx).filter(|_| !inbox_types::fault!(KeepRoomSecret)) else {
            return;
        };
        let is_awaited = self.rooms.offer(cx.inbox, offers);
        mailbox.was_offered(is_awaited);
        if self.rooms.has_due() {
            self.alarm.want(cx.now.mono);
        }
    }
}
