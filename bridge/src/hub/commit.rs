//! Group commit: gathering a batch over all inboxes, and settling it.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Hub, Shard};
use crate::dedupe;
use crate::mailbox::{Due, Gathered, Origin};
use crate::receipts::Deed;
use inbox_store::{Batch, Failure, PageLimit, Store, StoreError};
use inbox_types::{BATCH_BYTES_MAX, ClientId, Left, Message, Now, PAGE_BYTES_MAX, Refusal, Seq, Sizes, TimeMark};

/// How often one inbox may ask for its totals or its oldest entries in one round. Once each is the rule; more is a store that
/// changes its mind, and waits for the next round.
const QUESTIONS_MAX: usize = 64;

/// What a round of the committer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// When the next round is due, by [`Now::mono`]; `None` when nothing waits.
    pub next: Option<Duration>,
    /// Whether the store was written.
    pub wrote: bool,
}

/// A batch between gathering and settling.
pub struct PendingCommit(Gathering);

impl PendingCommit {
    /// What is to be made durable.
    pub fn batch(&self) -> &Batch {
        &self.0.batch
    }
}

/// Messages that left one inbox: which, from whom, and why.
type LeftHere = Vec<(Seq, ClientId, Left)>;

#[derive(Default)]
pub(super) struct Gathering {
    pub(super) batch: Batch,
    bytes: usize,
    /// Per shard: the inboxes that have something in the batch.
    touched: Vec<(usize, Vec<ClientId>)>,
    next: Option<Duration>,
    /// Who waits for what clients have the store keep.
    pub(super) kept: Vec<Origin>,
    /// The age that goes with it.
    mark: Option<TimeMark>,
    /// The first shard with an inbox that is due and found the batch full.
    no_room_at: Option<usize>,
    /// Messages that were gone before they were written, and of which something is in the batch.
    unwritten: Vec<(ClientId, Seq, Arc<Message>)>,
    /// Those in the batch that are edits of earlier ones.
    edits: Vec<Seq>,
    /// The `id`s in the batch.
    ids: Option<dedupe::Pending>,
    /// What senders are owed.
    pub(super) due: Vec<(ClientId, Due)>,
    /// The receipts in the batch.
    pub(super) receipts: Vec<Deed>,
    /// Messages that left unread, to be reported when no lock is held.
    left: Vec<(ClientId, LeftHere)>,
}

impl Gathering {
    fn is_full(&self, sizes: Sizes) -> bool {
        self.batch.puts.len() >= sizes.batch_messages_max || self.bytes >= BATCH_BYTES_MAX
    }

    fn size(&self) -> usize {
        let Batch {
            puts, removals, tables, ..
        } = &self.batch;
        puts.len() + removals.len() + tables.len() + self.unwritten.len() + self.due.len()
    }

    fn next_by(&mut self, deadline: Duration) {
        self.next = Some(self.next.map_or(deadline, |next| next.min(deadline)));
    }
}

impl Hub {
    /// Writes what is due, and tells who waits for it. With `all`, everything is due. Blocks on the store; one caller at a time.
    /// After an error the hub has failed: everyone who waited was refused, and so is everyone who comes.
    pub fn commit_round(&self, store: &dyn Store, all: bool) -> Result<Round, StoreError> {
        let pending = self.begin_commit(store, all);
        let written = if pending.batch().is_empty() {
            Ok(())
        } else {
            store.commit(pending.batch())
        };
        self.finish_commit(pending, written)
    }

    /// The first part of [`Hub::commit_round`]: what is due. It may read the store. Who writes the batch, a simulator or a committer that
    /// tries again, does so before the second part.
    pub fn begin_commit(&self, store: &dyn Store, all: bool) -> PendingCommit {
        self.tell_rooms();
        let mut gathering = Gathering::default();
        if !self.has_failed() {
            let now = self.clock.now();
            // Round and round: the next batch begins where this one had no room.
            let first = self.gather_from.load(Relaxed);
            for offset in 0..self.shards.len() {
                let at = (first + offset) % self.shards.len();
                self.gather_shard(at, store, all, now, &mut gathering);
            }
            if let Some(at) = gathering.no_room_at {
                self.gather_from.store(at, Relaxed);
            }
            let (kept, is_more) = self.gather_kept(store, &mut gathering.batch);
            gathering.kept = kept;
            if let Some(next) = self.gather_sources(now.mono, all, &mut gathering) {
                gathering.next_by(next);
            }
            let is_waiting = self.gather_receipts(store, &mut gathering, now);
            if is_more || is_waiting {
                gathering.next_by(now.mono);
            }
            let age = self.age.age(now);
            gathering.ids = self
                .dedupe
                .gather(&mut gathering.batch, &gathering.unwritten, &gathering.edits, age);
            gathering.batch.reserve = self.seqs.renewal(now.wall);
            // With everything that is left, so that an orderly shutdown forgets no time.
            let marks = gathering.batch.reserve.is_some() || self.age.is_due(now) || (all && gathering.size() > 0);
            gathering.mark = marks.then(|| self.age.put_mark(now, &mut gathering.batch));
        }
        PendingCommit(gathering)
    }

    /// The last part of [`Hub::commit_round`]: tells who waited what came of writing the batch.
    pub fn finish_commit(&self, pending: PendingCommit, written: Result<(), StoreError>) -> Result<Round, StoreError> {
        let PendingCommit(mut gathering) = pending;
        let wrote = !gathering.batch.is_empty();
        match written {
            // Something may have left without anything to write.
            Ok(()) if wrote || !gathering.touched.is_empty() => self.settle(&mut gathering),
            Ok(()) => {}
            Err(error) => {
                self.fail(&error);
                self.refuse_kept(gathering.kept);
                return Err(error);
            }
        }
        Ok(Round {
            next: gathering.next,
            wrote,
        })
    }

    /// A batch was written, which took so long, and of that so long until the disk had it.
    pub(crate) fn note_commit(&self, batch: &Batch, taken: Duration, sync: Option<Duration>) {
        self.timings.commit.time(taken);
        if let Some(sync) = sync {
            self.timings.sync.time(sync);
        }
        self.timings.commit_messages.record(batch.puts.len() as u64);
    }

    fn gather_shard(&self, at: usize, store: &dyn Store, all: bool, now: Now, gathering: &mut Gathering) {
        let Some(lock) = self.shards.get(at) else { return };
        let mut shard = lock.lock();
        if shard.listed.is_empty() {
            return;
        }
        let mut touched = Vec::new();
        let mut slow = Vec::new();
        let mut kept = Vec::new();
        for (deadline, inbox) in mem::take(&mut shard.listed) {
            let is_due = all || deadline <= now.mono;
            if gathering.is_full(self.limits.sizes) || !is_due {
                if is_due {
                    gathering.no_room_at = gathering.no_room_at.or(Some(at));
                }
                gathering.next_by(deadline);
                kept.push((deadline, inbox));
                continue;
            }
            match self.gather_one(&mut shard, &inbox, Some(deadline), all, now, gathering) {
                Some((Gathered::Nothing | Gathered::Later(_), true)) => touched.push(inbox),
                Some((Gathered::Nothing | Gathered::Later(_), false)) | None => {}
                Some((_, gave)) => slow.push((inbox, gave)),
            }
        }
        // Those that had no turn come before those that want another one.
        kept.append(&mut shard.listed);
        shard.listed = kept;
        drop(shard);
        for (inbox, gave) in slow {
            // What it gave before it asked is in the batch, too: publishers wait for it.
            if self.gather_slowly(&inbox, store, all, now, gathering) || gave {
                touched.push(inbox);
            }
        }
        if !touched.is_empty() {
            gathering.touched.push((at, touched));
        }
        for (inbox, left) in mem::take(&mut gathering.left) {
            self.report(&inbox, left);
        }
    }

    /// Gathers from one inbox, and lists it again if something is left. Tells also whether it gave anything.
    /// `None` if it is not in memory or `deadline` is void.
    fn gather_one(
        &self,
        shard: &mut Shard,
        inbox: &ClientId,
        deadline: Option<Duration>,
        all: bool,
        now: Now,
        gathering: &mut Gathering,
    ) -> Option<(Gathered, bool)> {
        let before = gathering.size();
        let Gathering {
            batch,
            bytes,
            unwritten,
            due,
            edits,
            ..
        } = gathering;
        let (gathered, left) = self.step_locked(shard, inbox, now, |mailbox, cx, fx| {
            if deadline.is_some() && mailbox.visit_at != deadline {
                return None;
            }
            let gathered = mailbox.gather(inbox, all, batch, bytes, cx, fx);
            if mailbox.has_unwritten() {
                let taken = mailbox.take_unwritten();
                unwritten.extend(taken.map(|(seq, message)| (inbox.clone(), seq, message)));
            }
            if mailbox.has_due() {
                due.extend(mailbox.due().into_iter().map(|due| (inbox.clone(), due)));
            }
            edits.extend(mailbox.edits());
            mailbox.visit_at = None;
            if let Gathered::Later(deadline) = gathered {
                fx.commit_by(deadline);
            }
            Some(gathered)
        });
        if !left.is_empty() {
            gathering.left.push((inbox.clone(), left));
        }
        let gathered = gathered.flatten()?;
        if let Gathered::Later(deadline) = gathered {
            gathering.next_by(deadline);
        }
        Some((gathered, gathering.size() > before))
    }

    /// Gathers from an inbox that has questions to the store. Tells whether it gave anything.
    fn gather_slowly(
        &self,
        inbox: &ClientId,
        store: &dyn Store,
        all: bool,
        now: Now,
        gathering: &mut Gathering,
    ) -> bool {
        let mut looked_at = Seq::ZERO;
        let limit = PageLimit {
            messages: self.limits.sizes.page_messages_max,
            bytes: PAGE_BYTES_MAX,
        };
        // Before a question, too, it may give something.
        let before = gathering.size();
        for _ in 0..QUESTIONS_MAX {
            let gathered = self.gather_one(&mut self.shard(inbox).lock(), inbox, None, all, now, gathering);
            let answered = match gathered {
                Some((Gathered::NeedsTotals, _)) => store.inbox(inbox).map(|record| {
                    looked_at = Seq::ZERO;
                    self.step_existing(inbox, now, |mailbox, cx, fx| {
                        mailbox.loaded(record.unwrap_or_default(), cx, fx)
                    });
                }),
                Some((Gathered::NeedsSenders(after), _)) => store.read(inbox, after, limit).map(|page| {
                    self.step_existing(inbox, now, |mailbox, cx, fx| mailbox.senders_read(&page, cx, fx));
                }),
                Some((Gathered::NeedsNames(after), _)) => store.read(inbox, after, limit).map(|page| {
                    self.step_existing(inbox, now, |mailbox, _, _| mailbox.names_read(&page));
                }),
                Some((Gathered::NeedsEarlier(seqs), _)) => seqs.into_iter().try_for_each(|seq| {
                    self.find(store, inbox, seq).map(|message| {
                        self.step_existing(inbox, now, |mailbox, _, _| mailbox.earlier_read(seq, message));
                    })
                }),
                Some((Gathered::NeedsMessage(seq), _)) => self.find(store, inbox, seq).map(|message| {
                    self.step_existing(inbox, now, |mailbox, cx, fx| {
                        mailbox.message_read(seq, message.as_ref(), cx, fx)
                    });
                }),
                Some((Gathered::NeedsOldest, _)) => {
                    // What was looked at is on its way out, but in the store until the batch is durable.
                    store.read(inbox, looked_at, limit).map(|page| {
                        looked_at = page.entries.last().map_or(looked_at, |last| last.seq);
                        self.step_existing(inbox, now, |mailbox, cx, fx| mailbox.drop_oldest(&page.entries, cx, fx));
                    })
                }
                Some((Gathered::NeedsUnread, _)) => self.read_unread(store, inbox, now),
                Some((Gathered::Nothing | Gathered::Later(_), _)) | None => return gathering.size() > before,
            };
            if let Err(error) = answered {
                let refusal = refusal_for(&error);
                if refusal == Refusal::StoreFailed {
                    self.observer.unreadable(inbox, &error);
                }
                self.step_existing(inbox, now, |mailbox, cx, fx| {
                    mailbox.refuse_waiting(refusal, all, cx, fx)
                });
                return gathering.size() > before;
            }
        }
        // Still waiting: ask again in the next round, when what leaves now is out of the way.
        let Gathering { batch, due, .. } = &mut *gathering;
        self.step_existing(inbox, now, |mailbox, _, fx| {
            if mailbox.wants_message().is_none() {
                mailbox.take_removals(inbox, batch);
            }
            due.extend(mailbox.due().into_iter().map(|due| (inbox.clone(), due)));
            fx.commit_by(now.mono);
        });
        gathering.next_by(now.mono);
        gathering.size() > before
    }

    /// The batch is durable: publishers are told, readers go on.
    fn settle(&self, gathering: &mut Gathering) {
        self.counters.commits.add(1);
        self.counters.committed.add(gathering.batch.puts.len() as u64);
        if let Some(reserved) = gathering.batch.reserve {
            self.seqs.renewed(reserved);
        }
        if let Some(mark) = gathering.mark {
            self.age.saved(mark);
        }
        if let Some(ids) = gathering.ids.take() {
            self.dedupe.committed(ids);
        }
        Hub::settle_kept(mem::take(&mut gathering.kept));
        let now = self.clock.now();
        let mut left = Vec::new();
        for (at, inboxes) in mem::take(&mut gathering.touched) {
            let Some(lock) = self.shards.get(at) else { continue };
            let mut shard = lock.lock();
            for inbox in inboxes {
                let (_, left_here) = self.step_locked(&mut shard, &inbox, now, |mailbox, cx, fx| {
                    mailbox.committed(cx, fx);
                    if let Some(deadline) = fx.commit_by.or(mailbox.visit_at) {
                        gathering.next_by(deadline);
                    }
                });
                if !left_here.is_empty() {
                    left.push((inbox, left_here));
                }
            }
        }
        for (inbox, left) in left {
            self.report(&inbox, left);
        }
        self.tell(mem::take(&mut gathering.receipts));
    }

    /// Nothing will be durable any more: whoever waits is told, and the operator.
    pub(crate) fn fail(&self, error: &StoreError) {
        let why = match error {
            StoreError::Failed(why) => why.clone(),
            StoreError::Troubled(trouble) => Arc::new(Failure::Unwritten(*trouble)),
            StoreError::Damaged { .. } => Arc::new(Failure::Unexpected(Box::new(error.clone()))),
        };
        // Whoever was first told everybody, or is about to.
        if !self.poison.set(why) {
            return;
        }
        self.refuse_kept(Vec::new());
        self.refuse_marks();
        for shard in &self.shards {
            for mailbox in shard.lock().values_mut() {
                mailbox.fail(&self.counters);
            }
        }
        self.observer.store_failed(error);
    }
}

/// What a publisher is told when its inbox cannot be read.
pub(super) fn refusal_for(error: &StoreError) -> Refusal {
    match error {
        StoreError::Troubled(_) => Refusal::StoreTroubled,
        StoreError::Failed(_) | StoreError::Damaged { .. } => Refusal::StoreFailed,
    }
}
