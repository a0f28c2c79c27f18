//! The reader's side of an inbox: attaching, pages from the store, the window.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::ops::Bound;
use std::sync::Arc;

use super::in_flight::InFlight;
use super::settling::Settling;
use super::{Context, Durability, Effects, Mailbox, queue};
use inbox_store::Page;
use inbox_types::{AttachmentId, Delivery, Entry, PAGE_BYTES_MAX, Port, Room, SETTLING_MAX, Seq};

/// A client that reads its inbox.
pub(super) struct Reader {
    attachment: AttachmentId,
    port: Arc<dyn Port>,
    /// Most messages that are sent and not acknowledged.
    window: usize,
    /// The client has not taken the bytes that it was sent: nothing follows until [`Mailbox::resume`].
    is_stalled: bool,
    /// In the order of their seqs.
    pub(super) in_flight: VecDeque<InFlight>,
    /// Written with QoS 0, and still in the inbox; in the order of their seqs.
    pub(super) settling: VecDeque<Settling>,
    /// In `settling`, a later message may have been written before an earlier one: the reader started over on its connection.
    pub(super) settles_out_of_order: bool,
    /// Everything up to here was sent to this attachment, or is not to be sent.
    cursor: Seq,
    /// Up to here, messages that are not young are in the store; beyond, there are none but young ones.
    stored_up_to: Seq,
    /// From the store, not sent yet.
    page: VecDeque<Entry>,
    /// The sum of the sizes in `page`.
    page_bytes: usize,
    /// What the store holds up to here is in `page`, or sent.
    read_to: Seq,
    /// A page was asked for when `stored_up_to` was this.
    reading: Option<Seq>,
    /// Messages whose removal became durable since then: the page that comes may still hold them.
    removed_meanwhile: BTreeSet<Seq>,
}

/// What comes next from the store.
pub(super) enum Stored {
    Entry(Entry),
    /// It is being read.
    Wait,
    /// Nothing before the next young message.
    Young,
}

impl Reader {
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        let has_place = self.in_flight.len() < self.window || inbox_types::fault!(IgnoreWindow);
        !self.is_stalled && has_place && self.settling.len() < SETTLING_MAX
    }

    #[inline]
    pub(super) fn cursor(&self) -> Seq {
        self.cursor
    }

    /// Goes beyond `seq`, whatever became of it.
    pub(super) fn pass(&mut self, seq: Seq) {
        self.cursor = seq;
    }

    #[inline]
    pub(super) fn send(&mut self, delivery: Delivery, awaits_acknowledgement: bool) {
        if awaits_acknowledgement {
            let wants = delivery.message.receipts_wanted().map(|_| delivery.message.clone());
            let sent = InFlight::new(delivery.seq, Some(delivery.message.size()), wants);
            // Behind the others, unless the reader started over.
            queue::put_in(&mut self.in_flight, sent, |sent| sent.seq);
        }
        if inbox_types::fault!(SendTwice) {
            let _sent_again = self.port.deliver(self.attachment, delivery.clone());
        }
        let room = self.port.deliver(self.attachment, delivery);
        self.is_stalled = room == Room::Full && !inbox_types::fault!(IgnoreUntaken);
    }

    /// The message is no longer in flight; gives what was known of it if it was.
    #[inline]
    pub(super) fn landed(&mut self, seq: Seq) -> Option<InFlight> {
        if let Some(at) = self.in_flight_at(seq) {
            return queue::take_out(&mut self.in_flight, at);
        }
        let at = self.settling_at(seq)?;
        let settling = self.settling.remove(at)?;
        Some(InFlight::new(seq, settling.size, settling.message))
    }

    /// Whether this reader was sent it and is not done with it.
    #[inline]
    pub(super) fn has(&self, seq: Seq) -> bool {
        let is_beyond = |last: Option<Seq>| last.is_none_or(|last| last < seq);
        // Mostly it is newer than everything that was sent.
        let is_new = is_beyond(self.in_flight.back().map(|sent| sent.seq))
            && is_beyond(self.settling.back().map(|settling| settling.seq));
        !is_new && (self.in_flight_at(seq).is_some() || self.settling_at(seq).is_some())
    }

    #[inline]
    fn in_flight_at(&self, seq: Seq) -> Option<usize> {
        queue::find(&self.in_flight, seq, |sent| sent.seq)
    }

    #[inline]
    fn settling_at(&self, seq: Seq) -> Option<usize> {
        queue::find(&self.settling, seq, |settling| settling.seq)
    }

    #[inline]
    pub(super) fn is_replaying(&self) -> bool {
        self.cursor < self.stored_up_to
    }

    /// Takes in the page that was asked for. What was stored up to `asked` was durable before the store was read, so the page has
    /// all of it, as far as it goes. Of what came later, a read that raced a commit may have seen any part: that is read again.
    fn take_page(&mut self, mut page: Page) {
        let Some(asked) = self.reading.take() else { return };
        if inbox_types::fault!(ReplaySkipsFirst) && self.read_to == Seq::ZERO && !page.entries.is_empty() {
            page.entries.remove(0);
        }
        let removed = mem::take(&mut self.removed_meanwhile);
        let last = page.entries.last().map(|last| last.seq);
        self.read_to = match last.filter(|last| page.more && *last < asked) {
            Some(last) => last,
            None => asked,
        };
        page.entries
            .retain(|entry| entry.seq <= asked && !removed.contains(&entry.seq));
        self.page.extend(page.entries);
        self.weigh_page();
    }

    /// These are durably gone: a page that was read before must not bring them back.
    pub(super) fn forget_removed(&mut self, removed: &BTreeMap<Seq, Option<usize>>) {
        if self.reading.is_some() {
            let unread = (Bound::Excluded(self.read_to), Bound::Unbounded);
            self.removed_meanwhile
                .extend(removed.range(unread).map(|(seq, _)| *seq));
        }
        let first = self.page.front().map(|first| first.seq);
        if first.is_some_and(|first| removed.range(first..).next().is_some()) {
            self.page.retain(|entry| !removed.contains_key(&entry.seq));
            self.weigh_page();
        }
    }

    /// Bytes in the page in hand.
    pub(super) fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// What is wrong with its books, for tests.
    #[cfg(test)]
    pub(super) fn audit(&self) -> Option<&'static str> {
        let could_go_on = self.is_replaying() && self.has_room() && self.page.is_empty();
        match () {
            () if self.in_flight.len() > self.window => Some("more is in flight than the window has room for"),
            () if !self.in_flight.iter().is_sorted_by_key(|sent| sent.seq) => Some("what is in flight is out of order"),
            () if !self.settling.iter().is_sorted_by_key(|one| one.seq) => Some("what settles is out of order"),
            () if could_go_on && self.reading.is_none() => Some("its reader waits for a page that nobody reads"),
            () if self.page_bytes != self.page.iter().map(|entry| entry.message.size()).sum::<usize>() => {
                Some("the page in hand has another size than the books say")
            }
            () if !self.is_replaying() && !self.page.is_empty() => Some("a live reader holds a page"),
            () if self.reading.is_none() && !self.removed_meanwhile.is_empty() => Some("removals are kept for no page"),
            () => None,
        }
    }

    /// Asks for the next page when the one in hand is nearly used up. A client that does not take what it was sent waits for none.
    #[inline]
    pub(super) fn read_ahead(&mut self, fx: &mut Effects) {
        let is_nearly_used_up = self.page.len() < self.window && self.page_bytes < PAGE_BYTES_MAX / 2;
        if self.is_replaying() && is_nearly_used_up && !self.is_stalled {
            self.ask_for_page(fx);
        }
    }

    fn ask_for_page(&mut self, fx: &mut Effects) {
        if self.read_to < self.stored_up_to && self.reading.is_none() {
            self.reading = Some(self.stored_up_to);
            fx.page = Some((self.attachment, self.read_to));
        }
    }

    fn weigh_page(&mut self) {
        self.page_bytes = self.page.iter().map(|entry| entry.message.size()).sum();
    }

    /// The next entry of the store, unless `young` comes before it; asks for a page when there is none in hand.
    #[inline]
    pub(super) fn next_stored(&mut self, young: Option<Seq>, fx: &mut Effects) -> Stored {
        if !self.is_replaying() {
            return Stored::Young;
        }
        // Young and not beyond all that is stored: a message with QoS 0.
        let before = self.page.front().map_or(self.read_to, |entry| entry.seq);
        let young_is_next = young.is_some_and(|young| young <= before);
        let next = if young_is_next { None } else { self.page.pop_front() };
        if next.is_none() && !young_is_next {
            self.ask_for_page(fx);
        }
        match next {
            Some(entry) => {
                self.page_bytes -= entry.message.size();
                Stored::Entry(entry)
            }
            None if young_is_next => Stored::Young,
            None if self.reading.is_some() => Stored::Wait,
            None => {
                self.cursor = self.stored_up_to;
                Stored::Young
            }
        }
    }
}

impl Mailbox {
    /// A client reads its inbox from the start, with `window` messages unacknowledged at most. It replaces an earlier reader.
    /// `in_flight`, in order, is what the client's connection was sent and has not acknowledged: that counts, and is not sent again.
    /// `last` is the last seq that was given to any message.
    #[expect(clippy::too_many_arguments, reason = "all of them say where a reader begins")]
    pub(crate) fn attach(
        &mut self,
        attachment: AttachmentId,
        port: Arc<dyn Port>,
        window: u16,
        in_flight: &[Seq],
        last: Seq,
        cx: Context,
        fx: &mut Effects,
    ) {
        let earlier = self.reader.as_mut().filter(|reader| Arc::ptr_eq(&reader.port, &port));
        let (settling, sent) = earlier
            .map(|reader| (mem::take(&mut reader.settling), mem::take(&mut reader.in_flight)))
            .unwrap_or_default();
        let settles_out_of_order = !settling.is_empty() || !in_flight.is_empty();
        self.drop_reader(cx);
        let stored_up_to = match (self.totals, self.young.front()) {
            (Some(totals), _) if totals.messages == 0 => Seq::ZERO,
            (_, Some(young)) => Seq(young.seq.0.saturating_sub(1)),
            (_, None) => last,
        };
        // What left although it was sent has left for the new reader, too.
        let sent_before = |seq: &Seq| {
            let known = queue::find(&sent, *seq, |sent| sent.seq).and_then(|at| sent.get(at));
            known.cloned().unwrap_or(InFlight::new(*seq, None, None))
        };
        self.reader = Some(Box::new(Reader {
            attachment,
            port,
            window: usize::from(window.max(1)),
            is_stalled: false,
            in_flight: in_flight.iter().map(sent_before).collect(),
            settling,
            settles_out_of_order,
            cursor: Seq::ZERO,
            stored_up_to,
            page: VecDeque::new(),
            page_bytes: 0,
            read_to: Seq::ZERO,
            reading: None,
            removed_meanwhile: BTreeSet::new(),
        }));
        self.ask_for_unread(attachment, fx);
        self.pump(cx, fx);
    }

    /// The client has taken bytes that it was sent, and takes more, unless `attachment` was replaced meanwhile.
    pub(crate) fn resume(&mut self, attachment: AttachmentId, cx: Context, fx: &mut Effects) {
        if let Some(reader) = self.reader.as_mut().filter(|reader| reader.attachment == attachment) {
            reader.is_stalled = inbox_types::fault!(ForgetStalled) && reader.is_stalled;
            self.pump(cx, fx);
        }
    }

    /// The client does not read any more, unless `attachment` was replaced meanwhile.
    pub(crate) fn detach(&mut self, attachment: AttachmentId, cx: Context, fx: &mut Effects) {
        if self
            .reader
            .as_ref()
            .is_some_and(|reader| reader.attachment == attachment)
        {
            if inbox_types::fault!(LoseOnDetach) {
                let sent = self.reader.iter().flat_map(|reader| &reader.in_flight);
                for seq in sent.map(|sent| sent.seq).collect::<Vec<_>>() {
                    self.acknowledge(seq, cx, fx);
                }
            }
            self.drop_reader(cx);
            self.release_holds(cx.now.mono, fx);
        }
    }

    /// The page that `attachment` asked for, read after `after`.
    pub(crate) fn page(&mut self, attachment: AttachmentId, page: Page, cx: Context, fx: &mut Effects) {
        let Some(reader) = self.reader.as_mut().filter(|reader| reader.attachment == attachment) else {
            return;
        };
        reader.take_page(page);
        self.pump(cx, fx);
    }

    /// Whether `attachment` is still the reader.
    pub(crate) fn is_attached(&self, attachment: AttachmentId) -> bool {
        self.reader
            .as_ref()
            .is_some_and(|reader| reader.attachment == attachment)
    }

    /// Whether a message that just became durable stays in memory, for a reader that keeps up with the `kept` before it; with
    /// it they would be `kept_bytes`.
    pub(super) fn keeps_for_reader(&self, kept: usize, kept_bytes: usize, cx: Context) -> bool {
        let has_room = kept < cx.limits.sizes.kept_max && kept_bytes <= super::KEPT_BYTES_MAX;
        has_room && self.reader.as_ref().is_some_and(|reader| !reader.is_replaying())
    }

    /// Whether the reader has gone beyond `seq`.
    pub(super) fn has_passed(&self, seq: Seq) -> bool {
        self.reader.as_ref().is_some_and(|reader| seq <= reader.cursor)
    }

    /// From now on the reader gets durable messages up to `seq` from the store.
    pub(super) fn fall_back_to_store(&mut self, seq: Seq) {
        if let Some(reader) = self.reader.as_mut() {
            if !reader.is_replaying() {
                // Whatever was read before is behind the cursor, and all the rest is in the store.
                reader.read_to = reader.cursor;
                self.young.retain(|young| young.durability != Durability::Durable);
                self.kept_bytes = 0;
            }
            reader.stored_up_to = reader.stored_up_to.max(seq);
        }
    }

    /// Memory is scarce: what is in the store, and waits for a reader that has no room, is read again when it has. Tells whether
    /// anything left.
    pub(crate) fn page_out(&mut self) -> bool {
        let Some(reader) = self.reader.as_mut() else {
            return false;
        };
        // A page that is under way goes on where the one in hand ends.
        if reader.has_room() || reader.reading.is_some() {
            return false;
        }
        let had_page = reader.page_bytes > 0;
        if had_page {
            reader.page = VecDeque::new();
            reader.page_bytes = 0;
            reader.read_to = reader.read_to.min(reader.cursor);
        }
        let is_kept = |young: &&super::Young| young.durability == Durability::Durable;
        let last_kept = self.young.iter().rev().find(is_kept).map(|young| young.seq);
        if let Some(last) = last_kept {
            self.fall_back_to_store(last);
        }
        had_page || last_kept.is_some()
    }

    /// `seq` leaves although it was sent, perhaps.
    pub(super) fn give_up_in_flight(&mut self, seq: Seq) {
        let Some(reader) = self.reader.as_mut() else { return };
        if let Some(sent) = reader.in_flight_at(seq).and_then(|at| reader.in_flight.get_mut(at)) {
            sent.gone = true;
        } else if let Some(at) = reader.settling_at(seq) {
            reader.settling.remove(at);
        }
    }

    /// Forgets the reader, and with it what only a reader needs in memory.
    fn drop_reader(&mut self, cx: Context) {
        if self.reader.take().is_some() {
            self.young
                .retain(|young| !matches!(young.durability, Durability::Durable | Durability::Never));
            (self.qos0_bytes, self.kept_bytes) = (0, 0);
            cx.counters
                .qos0_undelivered
                .add(mem::take(&mut self.qos0_waiting) as u64);
        }
    }
}
