//! Access rules, and the lists of recipients: what they say, written down for the broker, and read by the oracle in its own way.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Random;
use super::users::{Bearer, CLIENTS, LISTED, OF_GATE, USERS};

/// Some clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    User(usize),
    Client(usize),
    /// All whose client IDs begin with the name of this user.
    Begins(usize),
    Everybody,
}

impl Who {
    fn random(random: &mut Random, clients: usize) -> Self {
        match random.below(10) {
            0..4 => Who::User(random.below(USERS.len())),
            4..8 => Who::Client(random.below(clients)),
            8 => Who::Begins(random.below(USERS.len())),
            _ => Who::Everybody,
        }
    }

    fn some(random: &mut Random, clients: usize) -> BTreeSet<Who> {
        (0..random.between(1, 2))
            .map(|_| Who::random(random, clients))
            .collect()
    }

    fn text(self) -> String {
        match self {
            Who::User(user) => format!("\"user:{}\"", USERS[user]),
            Who::Client(client) => format!("\"client:{}\"", CLIENTS[client].0),
            Who::Begins(user) => format!("\"client:{}*\"", USERS[user]),
            Who::Everybody => "\"*\"".into(),
        }
    }

    fn is(self, who: Bearer) -> bool {
        match self {
            Who::User(user) => who.token.user == user,
            Who::Client(client) => who.client == client,
            Who::Begins(user) => who.id().starts_with(USERS[user]),
            Who::Everybody => true,
        }
    }
}

fn texts<'w>(all: impl IntoIterator<Item = &'w Who>) -> String {
    let all: Vec<_> = all.into_iter().map(|who| who.text()).collect();
    format!("[{}]", all.join(", "))
}

fn has(all: &BTreeSet<Who>, who: Bearer) -> bool {
    all.iter().any(|one| one.is(who))
}

/// The access rules.
#[derive(Debug, Clone, Default)]
pub(super) struct Law {
    /// Users who may not write to `quiet`, whatever else is said.
    muted: BTreeSet<usize>,
    quiet: BTreeSet<usize>,
    /// Users who may have the client ID of [`OF_GATE`].
    gate: BTreeSet<usize>,
    /// By owner: whom it denies, and whom alone it allows if that is not empty.
    inboxes: BTreeMap<usize, (BTreeSet<Who>, BTreeSet<Who>)>,
}

impl Law {
    /// Everybody may do everything, and every client be who it is.
    pub(super) fn open() -> Self {
        Law {
            gate: BTreeSet::from([CLIENTS[OF_GATE].1]),
            ..Law::default()
        }
    }

    pub(super) fn random(random: &mut Random, clients: usize) -> Self {
        let mut law = Law::open();
        if random.percent(50) {
            law.gate = (0..USERS.len()).filter(|_| random.percent(50)).collect();
        }
        if random.percent(40) {
            law.muted.insert(random.below(USERS.len()));
            law.quiet.insert(random.below(clients));
        }
        for owner in 0..clients {
            if random.percent(20) {
                let some = Who::some(random, clients);
                let none = BTreeSet::new();
                let both = if random.percent(60) { (some, none) } else { (none, some) };
                law.inboxes.insert(owner, both);
            }
        }
        law
    }

    /// The file that says so.
    pub(super) fn toml(&self) -> String {
        let users = |all: &BTreeSet<usize>| {
            all.iter()
                .map(|user| format!("{:?}, ", USERS[*user]))
                .collect::<String>()
        };
        let quiet: String = self.quiet.iter().map(|at| format!("{:?}, ", CLIENTS[*at].0)).collect();
        let mut text = format!(
            "[[role]]\nname = \"everyone\"\npublish = [\"#\"]\nsubscribe = [\"#\"]\n\
             [[role]]\nname = \"muted\"\nmembers = [{}]\ndeny_write_to = [{quiet}]\n\
             [[role]]\nname = \"gate\"\nmembers = [{}]\nclient_ids = [{:?}]\n",
            users(&self.muted),
            users(&self.gate),
            CLIENTS[OF_GATE].0,
        );
        for (owner, (deny, allow)) in &self.inboxes {
            text += &format!("[[inbox]]\nof = {:?}\n", CLIENTS[*owner].0);
            match deny.is_empty() {
                true => text += &format!("allow = {}\n", texts(allow)),
                false => text += &format!("deny = {}\n", texts(deny)),
            }
        }
        text
    }

    /// Whether this user may have that client ID.
    pub(super) fn may_be(&self, who: Bearer) -> bool {
        let of_user = match who.token.lists {
            true => who.client == LISTED,
            false => {
                let rest = who.id().strip_prefix(who.user());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('~'))
            }
        };
        of_user || (who.client == OF_GATE && self.gate.contains(&who.token.user))
    }

    pub(super) fn may_write(&self, who: Bearer, to: usize) -> bool {
        if self.muted.contains(&who.token.user) && self.quiet.contains(&to) {
            return false;
        }
        match self.inboxes.get(&to) {
            Some((deny, allow)) if !who.token.is_service => !has(deny, who) && (allow.is_empty() || has(allow, who)),
            _ => true,
        }
    }
}

/// What may become of a publish. After a crash it can be uncertain what holds, and several answers be right.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) may: bool,
    /// With which reason codes it may be denied.
    pub(super) denials: Vec<u8>,
    /// It repeats another one, and may be answered as that.
    pub(super) is_repeated: bool,
}

/// Whom a client takes messages from.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lists {
    block: BTreeSet<Who>,
    allow: BTreeSet<Who>,
}

impl Lists {
    pub(super) fn take(&self, who: Bearer) -> bool {
        !has(&self.block, who) && (self.allow.is_empty() || has(&self.allow, who))
    }
}

/// What a client asks for its lists.
#[derive(Debug, Clone)]
pub(super) struct Request {
    blocks: bool,
    word: &'static str,
    who: BTreeSet<Who>,
}

impl Request {
    pub(super) fn random(random: &mut Random, clients: usize) -> Self {
        let blocks = random.percent(70);
        let word = random.pick(&["set", "add", "add", "remove", "clear", "clear"]);
        let who = match word {
            "clear" => BTreeSet::new(),
            _ => Who::some(random, clients),
        };
        let word = if word == "clear" { "set" } else { word };
        Request { blocks, word, who }
    }

    pub(super) fn topic(&self) -> &'static str {
        if self.blocks { "$inbox/block" } else { "$inbox/allow" }
    }

    pub(super) fn text(&self) -> String {
        format!("{{\"{}\": {}}}", self.word, texts(&self.who))
    }

    pub(super) fn change(&self, mut lists: Lists) -> Lists {
        let list = if self.blocks {
            &mut lists.block
        } else {
            &mut lists.allow
        };
        match self.word {
            "set" => list.clone_from(&self.who),
            "add" => list.extend(&self.who),
            _ => list.retain(|one| !self.who.contains(one)),
        }
        lists
    }
}
