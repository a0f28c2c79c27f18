//! Strangers: senders that the owner of an inbox has never written to. They can be limited to a few messages until they are answered.
//!
//! A party is a user with all of its clients: `alice` is the party of `alice`, `alice~phone` and `alice~laptop`, so nobody is a stranger anew by
//! another device. Whom a party wrote to, and how much strangers wrote to it, is in memory as a whole, so that a message is judged without
//! waiting; whoever drives this keeps what [`Strangers::wrote`] gives, and brings it back to [`Strangers::restore`].

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use inbox_types::{Charge, ClientId, MemoryBudget, party};
use parking_lot::RwLock;
use ring::digest::{SHA256, digest};

use crate::denied::Denied;
use crate::identity::Identity;

/// Others that one party remembers. Beyond, one that was not answered is forgotten.
const OTHERS_MAX: usize = 10_000;
/// One of them takes so many bytes of memory.
const OTHER_BYTES: usize = 24;
/// A party takes so many bytes beside its name and its others.
const PARTY_BYTES: usize = 160;
/// What all parties take together: this part of the memory budget.
const BUDGET_PART: usize = 8;
/// An other in a key, in bytes.
const NAME_BYTES: usize = 8;
/// Between a party and an other in a key: no client ID holds it (MQTT-1.5.4-2).
const SEPARATOR: u8 = 0;

/// A name as a number: the first bytes of its SHA-256.
type Name = [u8; NAME_BYTES];

/// See the module's documentation.
#[derive(Debug)]
pub struct Strangers {
    messages_max: u32,
    parties: RwLock<Parties>,
    /// What all parties take at most, in bytes.
    bytes_max: usize,
}

#[derive(Debug)]
struct Parties {
    others: HashMap<Box<str>, Others>,
    /// What they take together.
    bytes: usize,
    charge: Charge,
}

#[derive(Debug)]
struct Others {
    known: HashMap<Name, Known>,
    /// What they take.
    bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// It was written to.
    Met,
    /// It wrote so many messages, and was not answered.
    Stranger(u32),
}

/// What is to be kept: a key, and its value from now on, if it has one.
pub type Acquaintance = (Bytes, Option<Bytes>);

impl Known {
    fn to_bytes(self) -> Bytes {
        match self {
            Known::Met => Bytes::from_static(b"met"),
            Known::Stranger(messages) => Bytes::copy_from_slice(&messages.to_be_bytes()),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            b"met" => Some(Known::Met),
            bytes => bytes.try_into().ok().map(u32::from_be_bytes).map(Known::Stranger),
        }
    }
}

impl Strangers {
    /// A stranger may write `messages_max` messages to a party until it is answered. What is remembered counts against `budget`.
    pub fn new(messages_max: u32, budget: &Arc<MemoryBudget>) -> Self {
        Strangers {
            messages_max,
            parties: RwLock::new(Parties {
                others: HashMap::new(),
                bytes: 0,
                charge: Charge::new(budget),
            }),
            bytes_max: budget.limit() / BUDGET_PART,
        }
    }

    /// Whether `who` may write to the inbox of `owner`, as far as that is for strangers.
    pub(crate) fn judge(&self, who: &Identity, owner: &str) -> Result<(), Denied> {
        let (from, to) = (sender(who), party(owner));
        if from == to {
            return Ok(());
        }
        match self.known(to, &Names::of(who)) {
            Some(Known::Stranger(messages)) if messages >= self.messages_max => Err(Denied::Stranger),
            _ => Ok(()),
        }
    }

    /// `who` wrote to the inbox of `owner`, which it might. Gives what is to be kept; mostly nothing, because they know each other.
    pub fn wrote(&self, who: &Identity, owner: &ClientId) -> Vec<Acquaintance> {
        let (from, to) = (sender(who), party(owner.as_str()));
        if from == to {
            return Vec::new();
        }
        // What is written under a client ID is answered there.
        let own = party(who.client_id().as_str());
        let (names, to_name) = (Names::of(who), name(to));
        let is_met = {
            let parties = self.parties.read();
            let others = parties.others.get(own);
            others.and_then(|others| others.known.get(&to_name)) == Some(&Known::Met)
        };
        let mut changes = Vec::new();
        if !is_met && !inbox_types::fault!(ForgetAnswer) {
            changes.extend(self.set(own, to_name, Known::Met));
        }
        match self.known(to, &names) {
            _ if inbox_types::fault!(CountNoStrangers) => {}
            Some(Known::Met) => {}
            Some(Known::Stranger(messages)) => {
                changes.extend(self.set(to, names.by_user, Known::Stranger(messages.saturating_add(1))));
            }
            None => changes.extend(self.set(to, names.by_user, Known::Stranger(1))),
        }
        changes
    }

    /// What the party `of` knows of a sender: by its client ID, under which it was answered, or else by its user.
    fn known(&self, of: &str, sender: &Names) -> Option<Known> {
        let parties = self.parties.read();
        let others = parties.others.get(of)?;
        let find = |name| others.known.get(name).copied();
        let by_id = find(&sender.by_id).filter(|known| *known == Known::Met);
        by_id.or_else(|| find(&sender.by_user))
    }

    /// Forgets whom `party` wrote to, and who wrote to it. Gives what is to be removed where it is kept.
    pub fn forget(&self, party: &str) -> Vec<Acquaintance> {
        let mut parties = self.parties.write();
        let Parties { others, bytes, charge } = &mut *parties;
        let Some(forgotten) = others.remove(party) else {
            return Vec::new();
        };
        *bytes -= forgotten.bytes;
        charge.cover(*bytes);
        forgotten.known.keys().map(|other| (key(party, *other), None)).collect()
    }

    /// What was kept in an earlier run. What cannot be read is passed over: whom it was about is a stranger again.
    pub fn restore(&self, key: &[u8], value: &[u8]) {
        let Some((of, other)) = key.split_last_chunk::<NAME_BYTES>() else {
            return;
        };
        let of = of.strip_suffix(&[SEPARATOR]).and_then(|of| str::from_utf8(of).ok());
        if let (Some(of), Some(known)) = (of, Known::from_bytes(value)) {
            self.set(of, *other, known);
        }
    }

    /// Notes what `of` knows of another. One that is forgotten for it is to be forgotten where it is kept, too. Where all parties together
    /// take as much memory as they may, new ones are not remembered: strangers of theirs are not limited then.
    fn set(&self, of: &str, other: Name, known: Known) -> Vec<Acquaintance> {
        let mut parties = self.parties.write();
        let Parties {
            others: all,
            bytes: taken,
            charge,
        } = &mut *parties;
        if !all.contains_key(of) && *taken >= self.bytes_max {
            return Vec::new();
        }
        let others = all.entry(of.into()).or_insert_with(|| Others {
            known: HashMap::new(),
            bytes: 0,
        });
        let mut changes = vec![(key(of, other), Some(known.to_bytes()))];
        if others.known.len() >= OTHERS_MAX
            && !others.known.contains_key(&other)
            && let Some(forgotten) = others.least_wanted()
        {
            others.known.remove(&forgotten);
            changes.push((key(of, forgotten), None));
        }
        others.known.insert(other, known);
        let bytes = PARTY_BYTES + of.len() + OTHER_BYTES * (others.known.len() + 2);
        *taken = *taken + bytes - others.bytes;
        others.bytes = bytes;
        charge.cover(*taken);
        changes
    }
}

impl Others {
    /// Any that was not answered, or else any.
    fn least_wanted(&self) -> Option<Name> {
        let stranger = self.known.iter().find(|(_, known)| **known != Known::Met);
        stranger.or_else(|| self.known.iter().next()).map(|(name, _)| *name)
    }
}

/// The names of a sender: that of the party that its client ID says, and that of its user, which mostly is the same.
struct Names {
    by_id: Name,
    by_user: Name,
}

impl Names {
    fn of(who: &Identity) -> Self {
        let by_id = name(party(who.client_id().as_str()));
        let other = who.user().filter(|user| *user != party(who.client_id().as_str()));
        Names {
            by_id,
            by_user: other.map_or(by_id, name),
        }
    }
}

/// The party of a sender.
fn sender(who: &Identity) -> &str {
    who.user().unwrap_or_else(|| party(who.client_id().as_str()))
}

fn name(party: &str) -> Name {
    let digest = digest(&SHA256, party.as_bytes());
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

fn key(of: &str, other: Name) -> Bytes {
    [of.as_bytes(), &[SEPARATOR], &other].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Account;

    fn who(client: &str, user: &str) -> Identity {
        let id = ClientId::new(client).unwrap();
        match user {
            "" => Identity::anonymous(id),
            user => Identity::of(
                id,
                Arc::new(Account {
                    user: user.into(),
                    ..Account::default()
                }),
            ),
        }
    }

    fn strangers() -> Strangers {
        Strangers::new(2, &MemoryBudget::new(usize::MAX))
    }

    /// Writes if it may.
    fn write(strangers: &Strangers, from: &Identity, to: &str) -> (bool, Vec<Acquaintance>) {
        match strangers.judge(from, to) {
            Ok(()) => (true, strangers.wrote(from, &ClientId::new(to).unwrap())),
            Err(why) => {
                assert_eq!(why, Denied::Stranger);
                (false, Vec::new())
            }
        }
    }

    #[test]
    fn a_stranger_writes_a_few_messages_until_it_is_answered() {
        // Goal: two, then none, from any of its devices; an answer from any device of the owner opens the way, and that costs nothing more.
        let strangers = strangers();
        let (eve, eves_phone) = (who("eve", "eve"), who("eve~phone", "eve"));
        assert!(write(&strangers, &eve, "bob").0 && write(&strangers, &eves_phone, "bob~desk").0);
        assert!(!write(&strangers, &eve, "bob").0 && !write(&strangers, &eves_phone, "bob").0);
        assert!(write(&strangers, &eve, "carol").0 && write(&strangers, &eve, "eve~phone").0);
        assert!(
            write(&strangers, &who("bob~desk", "bob"), "eve").0,
            "bob is no stranger to eve: she wrote to him"
        );
        for _ in 0..5 {
            let (may, changes) = write(&strangers, &eve, "bob");
            assert!(may && changes.is_empty());
        }
        let anonymous = [who("anonymous~1", ""), who("anonymous~2", ""), who("anonymous~3", "")];
        assert_eq!(
            anonymous.map(|who| write(&strangers, &who, "bob").0),
            [true, true, false]
        );
    }

    #[test]
    fn a_client_id_of_its_own_is_answered_too() {
        // Goal: a gateway whose client ID does not say its user wrote first: whoever answers that client ID is no stranger to it.
        let strangers = strangers();
        let (gateway, alice) = (who("sensor-1", "gw"), who("alice", "alice"));
        assert!(write(&strangers, &gateway, "alice").0);
        assert_eq!([(); 4].map(|()| write(&strangers, &alice, "sensor-1").0), [true; 4]);
        assert_eq!([(); 4].map(|()| write(&strangers, &gateway, "alice").0), [true; 4]);
    }

    #[test]
    fn names_that_nobody_has_fill_no_memory() {
        // Goal: writing to ever new names takes a part of the budget, and no more.
        let budget = MemoryBudget::new(4 * 1024 * 1024);
        let strangers = Strangers::new(2, &budget);
        for n in 0..5_000 {
            write(&strangers, &who("eve", "eve"), &format!("{n:0500}"));
        }
        let (used, limit) = (budget.used(), budget.limit());
        assert!(
            used > 100_000 && used <= limit / BUDGET_PART + 128 * 1024,
            "{used} of {limit}"
        );
    }

    #[test]
    fn what_is_kept_is_known_again() {
        // Goal: with what was given to be kept, another run judges the same; what is damaged is passed over.
        let (before, after) = (strangers(), strangers());
        let (eve, mallory, bob) = (who("eve", "eve"), who("mallory", ""), who("bob", "bob"));
        for (from, to) in [
            (&eve, "bob"),
            (&bob, "eve"),
            (&mallory, "bob"),
            (&mallory, "bob"),
            (&eve, "bob"),
        ] {
            for (key, value) in write(&before, from, to).1 {
                after.restore(&key, &value.unwrap());
            }
        }
        for damaged in [&b""[..], b"short", b"without a separator", b"bob\x0012345678"] {
            after.restore(damaged, b"x");
        }
        assert!(write(&after, &eve, "bob").0 && !write(&after, &mallory, "bob").0);
    }

    #[test]
    fn what_a_party_remembers_is_bounded() {
        // Goal: strangers by the thousand take the place of each other, and not of those who were answered; what they take is counted.
        let strangers = strangers();
        let bob = who("bob", "bob");
        write(&strangers, &bob, "friend");
        for n in 0..OTHERS_MAX + 50 {
            write(&strangers, &who(&format!("s{n}"), ""), "bob");
        }
        let parties = strangers.parties.read();
        let others = &parties.others["bob"];
        assert_eq!(others.known.len(), OTHERS_MAX);
        assert_eq!(others.known.get(&name("friend")), Some(&Known::Met));
        assert!(parties.bytes >= OTHERS_MAX * OTHER_BYTES);
    }
}
