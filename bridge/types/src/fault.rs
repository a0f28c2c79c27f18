//! Deliberate faults, and a look inside, for the simulator. Only with feature `testing`; without it, [`fault!`] is `false`.
//!
//! A test that cannot fail proves nothing. Each [`Fault`] breaks one rule of the contract in the code under test, and a test of the
//! simulator shows that its oracle notices. They belong to the thread: a simulation runs on one, and many may run side by side.

/// Whether mistakes can be made on purpose in this build. A program that measures has them not: each costs a look at the thread's own.
pub const CAN_MAKE_MISTAKES: bool = cfg!(feature = "testing");

/// Whether this thread is to make that mistake.
#[cfg(feature = "testing")]
#[macro_export]
#[doc(hidden)]
macro_rules! fault {
    ($fault:ident) => {
        $crate::Fault::$fault.is_on()
    };
}

/// Without feature `testing` no mistake is made on purpose.
#[cfg(not(feature = "testing"))]
#[macro_export]
#[doc(hidden)]
macro_rules! fault {
    ($fault:ident) => {
        false
    };
}

#[cfg(feature = "testing")]
pub use on::{Fault, Given, given, given_back, set_fault, take_given, take_given_back};

#[cfg(feature = "testing")]
mod on {
    use std::cell::{Cell, RefCell};
    use std::sync::Arc;

    use crate::client_id::ClientId;
    use crate::message::{Message, Seq};

    macro_rules! faults {
        ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
            /// A mistake to make on purpose. Each names the rule that it breaks.
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum Fault { $($(#[$doc])* $name,)* }

            impl Fault {
                /// Every fault.
                pub const ALL: &[Fault] = &[$(Fault::$name,)*];
            }
        };
    }

    faults! {
        /// Rule 3: PUBACK before the commit.
        AckBeforeCommit,
        /// Rule 3: PUBACK although the commit failed.
        AckAfterFailedCommit,
        /// Rule 3: a refused publish of MQTT 3.1.1 is acknowledged before its notice is durable.
        AckBeforeNotice,
        /// Rule 3: a notice takes the place of one that has left.
        ReplaceGone,
        /// Rule 3: a full inbox says yes and stores nothing.
        FullSaysYes,
        /// Rule 3: a sender may hold more than its share of an inbox.
        IgnoreShare,
        /// Rule 3: whoever waits for room is not told of it.
        KeepRoomSecret,
        /// Rule 3: whoever was told of room is told again, without having asked again.
        TellRoomTwice,
        /// Rule 5: an acknowledged message is never removed from the store.
        ForgetRemoval,
        /// Rule 4: what is in flight is sent again when its reader subscribes again.
        ResendOnSubscribe,
        /// Rule 5: what is written with QoS 0 leaves at once.
        LeaveWhenWritten,
        /// Rule 5: the removal happens on PUBREC already.
        RemoveOnPubRec,
        /// Rule 5: a message leaves unread and nobody is told.
        LeaveSilently,
        /// Rule 5: what left unread is not counted.
        ForgetDropped,
        /// Rule 5: nobody notes that an owner came and went.
        ForgetWhoCame,
        /// Rule 5: what is being removed is delivered again.
        DeliverLeaving,
        /// Rules 4 and 6: of two new messages the later one goes first.
        OutOfOrder,
        /// Rule 4: a replay leaves out its first message.
        ReplaySkipsFirst,
        /// Rule 4: a read that lacked something is not tried again.
        GiveUpReading,
        /// Rule 4: mail comes before SUBACK.
        MailBeforeSuback,
        /// Rule 4: DUP is not set.
        NoDup,
        /// Rule 4: sent again without a reason.
        SendTwice,
        /// Rule 4: what a reader had not acknowledged is lost when it goes.
        LoseOnDetach,
        /// Rule 6: after a restart, seqs go on from the wall clock alone.
        ReuseSeq,
        /// Rule 6: `prev` does not go on with what is delivered.
        WrongPrev,
        /// Rule 4: who holds a message unacknowledged for too long stays.
        KeepStuck,
        /// Rule 4: mail is sent faster than it may.
        IgnoreRate,
        /// Rule 5: messages wait by the system clock.
        WallExpiry,
        /// Rule 5: after a restart, waiting goes on as if the broker had been open all the time.
        ForgetAge,
        /// Rule 2: another's inbox can be read.
        ReadAnothers,
        /// Rule 1: mail goes to somebody else.
        WrongInbox,
        /// Rule 7: a sender can say who it is.
        ForgedFrom,
        /// Rule 7: a sender can say whose client it is.
        ForgedUser,
        /// Access: a user can have any client ID.
        AnyClientId,
        /// Access: a connection outlives the token that it began with.
        IgnoreTokenEnd,
        /// Access: what a client sends after the end of its token is taken, until something is to be sent to it.
        TakeAfterTokenEnd,
        /// Access: a client goes on with the fresh token of another user.
        RenewAnother,
        /// Access: a fresh token is accepted, and the earlier one ends the connection.
        ForgetRenewal,
        /// Access: whoever the rules deny writes nevertheless.
        IgnoreRules,
        /// Access: rules that are read again are not in force.
        KeepOldRules,
        /// Access: who is connected is not looked at when the rules change.
        ForgetReview,
        /// Access: who waits for its session is not looked at when the rules change.
        ForgetWaiting,
        /// Access: a publish that is denied is answered as if it were not.
        DeniedSaysYes,
        /// Access: whoever a recipient takes no messages from writes nevertheless.
        IgnoreLists,
        /// Access: a change of a recipient's list is answered before it is durable.
        AckListsEarly,
        /// Access: recipients' lists are gone after a restart.
        ForgetLists,
        /// Access: what strangers write is not counted.
        CountNoStrangers,
        /// Access: a stranger who was answered remains one.
        ForgetAnswer,
        /// Rule 8: what repeats an `id` is stored again.
        StoreRepeats,
        /// Rule 8: a publish is answered before its `id` is durable, if its reader was fast.
        AckIdsEarly,
        /// Rule 8: a restart forgets which `id`s there were.
        ForgetIds,
        /// Rule 8: an `id` of one sender is taken for that of another.
        ShareIds,
        /// Wills: CONNACK comes before the will is durable.
        AckWillEarly,
        /// Wills: after a restart a will is gone.
        ForgetWill,
        /// Wills: what a crash publishes again is another message.
        RepeatWill,
        /// Wills: after a restart a will is published at once.
        HurryWill,
        /// Wills: one that a crash left is published although its client came back.
        KeepWillOfReturned,
        /// Wills: one that a goodbye made void stays in the store.
        KeepVoidWill,
        /// Rule 11: a sender is told that its message was delivered when it is sent.
        ReceiptBeforeAck,
        /// Rule 11: a receipt is made beside the removal that causes it, and not with it.
        ReceiptApart,
        /// Rule 11: what a reader refused is said to be delivered.
        RefusedIsDelivered,
        /// Rule 11: whoever waits to be told that a message was read is forgotten by a restart.
        ForgetUnread,
        /// Rule 12: what a message replaces leaves in an earlier commit.
        AmendApart,
        /// Rule 12: what another sender sent is amended.
        AmendAnothers,
        /// Rule 12: a message that its reader had is said to be taken back.
        RecallTooLate,
        /// Rule 12: what is replaced stays.
        CollapseNothing,
        /// Rule 9: a QoS 0 message waits for a client that is away.
        KeepQos0,
        /// Rule 10: a repeated QoS 2 publish is stored again.
        Qos2StoredTwice,
        /// MQTT 5, section 4.9: the receive maximum is ignored.
        IgnoreWindow,
        /// MQTT-4.6.0-2: publishes are answered in another order.
        SwapAnswers,
        /// Rule 13: SUBACK before the subscription is durable.
        AckSubscriptionEarly,
        /// Rule 13: UNSUBACK before it is durable that the subscription has ended.
        AckEndEarly,
        /// Rule 13: PUBACK before a session that is kept has the message durably.
        AckKeptEarly,
        /// Rule 13: PUBACK when the first of several sessions has the message.
        AckAfterFirst,
        /// Rule 13: a message does not wait for a client that is away.
        LoseWhileAway,
        /// Rule 13: what was sent leaves the store, although it is not acknowledged.
        ForgetWhenSent,
        /// Rule 13: what was acknowledged stays in the store.
        KeepAcknowledged,
        /// Rule 13: after a restart a session is gone.
        ForgetSession,
        /// Rule 13: after a restart a session lacks a subscription.
        ForgetSubscription,
        /// Rule 13: after a restart what waits comes in another order.
        ReverseQueue,
        /// Rule 13: after a restart DUP is not set.
        NoDupAfterRestart,
        /// Rule 13: a message with QoS 2 is sent before it is durable.
        SendBeforeDurable,
        /// Rule 13: PUBREL is sent before it is durable that the client has the message.
        ReleaseBeforeDurable,
        /// Rule 13: after a restart a message comes again with another packet identifier.
        NewPacketId,
        /// Rule 13: after a restart what the client has is not released.
        ForgetTaken,
        /// Rule 13: a publish with QoS 2 is not known after a restart.
        ForgetExchange,
        /// Rule 13: that a publish with QoS 2 was taken is durable in another commit than what it has kept.
        RecordApart,
        /// Rule 13: PUBCOMP is sent, and the store has not forgotten the publish.
        CompleteBeforeDurable,
        /// Rule 13: a clean start goes on with what was before.
        KeepEnded,
        /// Retained messages: PUBACK before the message is durable.
        AckRetainedEarly,
        /// Retained messages: one that was cleared is back after a restart.
        KeepCleared,
        /// Retained messages: one is gone after a restart.
        ForgetRetained,
        /// Bounded memory: QoS 0 messages pile up for a reader that does not read.
        UnboundedQos0,
        /// Bounded memory: a reader that takes no bytes is sent its whole window.
        IgnoreUntaken,
        /// Rule 4: a reader that takes its bytes again is not sent what waits.
        ForgetStalled,
        /// Bounded memory: messages are accepted although the budget is used up.
        IgnoreBudget,
    }

    /// A seq was given to a message.
    #[derive(Debug, Clone)]
    pub struct Given {
        /// To whom.
        pub inbox: ClientId,
        /// Its place.
        pub seq: Seq,
        /// The message.
        pub message: Arc<Message>,
    }

    thread_local! {
        static FAULT: Cell<Option<Fault>> = const { Cell::new(None) };
        /// `None` until somebody asks: other tests must not fill it.
        static GIVEN: RefCell<Option<Vec<Given>>> = const { RefCell::new(None) };
        static GIVEN_BACK: RefCell<Vec<Seq>> = const { RefCell::new(Vec::new()) };
    }

    impl Fault {
        /// Whether it is of what ordinary topics keep: it shows only where there are some.
        pub fn is_of_ordinary_topics(self) -> bool {
            let (first, last) = (Fault::AckSubscriptionEarly as usize, Fault::ForgetRetained as usize);
            (first..=last).contains(&(self as usize))
        }

        /// Whether this thread makes it.
        pub fn is_on(self) -> bool {
            FAULT.get() == Some(self)
        }
    }

    /// From now on this thread makes this mistake, or none.
    pub fn set_fault(fault: Option<Fault>) {
        FAULT.set(fault);
    }

    /// The seqs that were given on this thread since the last call; the first call begins the record.
    pub fn take_given() -> Vec<Given> {
        GIVEN.replace(Some(Vec::new())).unwrap_or_default()
    }

    /// Notes that a receipt with this seq found no room after all, and will be given another one.
    pub fn given_back(seq: Seq) {
        GIVEN_BACK.with_borrow_mut(|all| all.push(seq));
    }

    /// Those since the last call.
    pub fn take_given_back() -> Vec<Seq> {
        GIVEN_BACK.take()
    }

    /// Notes for [`take_given`] that `inbox` gave `seq` to `message`.
    pub fn given(inbox: &ClientId, seq: Seq, message: &Arc<Message>) {
        GIVEN.with_borrow_mut(|given| {
            if let Some(given) = given {
                given.push(Given {
                    inbox: inbox.clone(),
                    seq,
                    message: message.clone(),
                });
            }
        });
    }
}
