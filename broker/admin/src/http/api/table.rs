//! Every request: its path, and what it is called.

use axum::routing::MethodFilter;

use crate::bounds::{LISTED_MAX, PEEKED_MAX, SECONDS_MAX};

/// HTTP methods of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Delete,
}

/// How a request is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// By one JSON object.
    Once,
    /// By one line of JSON for each message, page after page.
    ByMessage,
    /// By one line of JSON for each event, while it lasts.
    ByEvent,
    /// By bytes, as they are read.
    ByBytes,
}

/// Where a parameter is, and what it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text in the path.
    Path,
    /// Text.
    Text,
    /// A whole number within these bounds.
    Number(u64, u64),
}

/// A parameter of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) about: &'static str,
}

/// A request.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: Method,
    /// With its parameters in braces.
    pub(super) path: &'static str,
    pub(super) command: &'static str,
    pub(super) about: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// Keys of the result, or of each line.
    pub(super) result: &'static str,
    pub(super) answered: Answered,
    /// Whether it changes something.
    pub(super) changes: bool,
}

/// JSON numbers are exact up to here.
const SEQ_MAX: u64 = (1 << 53) - 1;

const CLIENT: Parameter = Parameter {
    name: "client",
    kind: Kind::Path,
    about: "The client ID",
};
const AFTER: Parameter = Parameter {
    name: "after",
    kind: Kind::Text,
    about: "Those after this client ID: next of the page before",
};
const AFTER_SEQ: Parameter = Parameter {
    name: "after",
    kind: Kind::Number(0, SEQ_MAX),
    about: "Those after this seq: next of the page before",
};
const AFTER_FILTER: Parameter = Parameter {
    name: "after",
    kind: Kind::Number(0, u32::MAX as u64),
    about: "Subscriptions after these: next of the page before",
};
const LIMIT: Parameter = Parameter {
    name: "limit",
    kind: Kind::Number(1, LISTED_MAX as u64),
    about: "At most so many (100)",
};
const MESSAGES: Parameter = Parameter {
    name: "limit",
    kind: Kind::Number(1, PEEKED_MAX as u64),
    about: "At most so many (20)",
};
const EXPORTED: Parameter = Parameter {
    name: "limit",
    kind: Kind::Number(1, SEQ_MAX),
    about: "At most so many (all)",
};
const PREFIX: Parameter = Parameter {
    name: "prefix",
    kind: Kind::Text,
    about: "Those whose client ID begins so",
};
const PAYLOAD: Parameter = Parameter {
    name: "payload_bytes_max",
    kind: Kind::Number(0, 1 << 20),
    about: "Of each payload at most so many bytes (1024)",
};
const UP_TO: Parameter = Parameter {
    name: "up_to",
    kind: Kind::Number(0, SEQ_MAX),
    about: "Only messages up to this seq",
};
const FROM: Parameter = Parameter {
    name: "from",
    kind: Kind::Text,
    about: "Messages of this client",
};
const TO: Parameter = Parameter {
    name: "to",
    kind: Kind::Text,
    about: "Messages for this inbox",
};
const ID: Parameter = Parameter {
    name: "id",
    kind: Kind::Text,
    about: "The message with this id",
};
const SECONDS: Parameter = Parameter {
    name: "seconds",
    kind: Kind::Number(1, SECONDS_MAX as u64),
    about: "For so long (60)",
};

const MESSAGE: &str = "seq, at, from, id, qos, bytes, expires_at?, payload or payload_hex, payload_bytes, truncated, content_type?, response_topic?, \
                       correlation_data_hex?, user_properties?";

const fn looks(
    path: &'static str,
    command: &'static str,
    parameters: &'static [Parameter],
    about: &'static str,
    result: &'static str,
) -> Route {
    let (method, answered, changes) = (Method::Get, Answered::Once, false);
    Route {
        method,
        path,
        command,
        about,
        parameters,
        result,
        answered,
        changes,
    }
}

const fn removes(
    path: &'static str,
    command: &'static str,
    parameters: &'static [Parameter],
    about: &'static str,
    result: &'static str,
) -> Route {
    Route {
        method: Method::Delete,
        changes: true,
        ..looks(path, command, parameters, about, result)
    }
}

/// Every request.
pub(super) static ROUTES: [Route; 16] = [
    looks(
        "/api/v1/inboxes",
        "inbox/list",
        &[AFTER, LIMIT, PREFIX],
        "The inboxes that hold something",
        "inboxes: a list of client, messages, bytes; next?",
    ),
    looks(
        "/api/v1/inboxes/{client}",
        "inbox/show",
        &[CLIENT],
        "What one inbox holds",
        "client, messages, bytes, messages_max, bytes_max, oldest_at?, reader, in_flight, connected",
    ),
    looks(
        "/api/v1/inboxes/{client}/messages",
        "inbox/peek",
        &[CLIENT, AFTER_SEQ, MESSAGES, PAYLOAD],
        "Messages of one inbox, which stay in it",
        "messages: a list as the export has it; next?",
    ),
    removes(
        "/api/v1/inboxes/{client}/messages",
        "inbox/purge",
        &[CLIENT, UP_TO],
        "Removes messages of one inbox; nobody will receive them",
        "purged",
    ),
    Route {
        answered: Answered::ByMessage,
        ..looks(
            "/api/v1/inboxes/{client}/export",
            "inbox/export",
            &[CLIENT, AFTER_SEQ, EXPORTED],
            "Every message of one inbox, whole",
            MESSAGE,
        )
    },
    removes(
        "/api/v1/clients/{client}/data",
        "client/erase",
        &[CLIENT],
        "Removes everything that is kept about a client",
        "purged, kept: how many entries of each table were removed, session",
    ),
    looks(
        "/api/v1/clients",
        "client/list",
        &[AFTER, LIMIT],
        "Clients that are connected",
        "clients: a list of client, user?, peer, listener?, protocol, connected_at, connected; next?",
    ),
    looks(
        "/api/v1/clients/{client}",
        "client/show",
        &[CLIENT],
        "One client",
        "client, user?, peer, listener?, protocol, connected_at, connected",
    ),
    removes(
        "/api/v1/clients/{client}/connection",
        "client/disconnect",
        &[CLIENT],
        "Ends the connection of a client",
        "disconnected",
    ),
    looks(
        "/api/v1/sessions",
        "session/list",
        &[AFTER, LIMIT],
        "Sessions, of clients that are connected and of those that are away",
        "sessions: a list of client, connected, protocol?, expiry?, expires_at?, durable, subscriptions, messages, bytes; next?",
    ),
    looks(
        "/api/v1/sessions/{client}",
        "session/show",
        &[CLIENT, AFTER_FILTER, LIMIT],
        "One session, with its subscriptions",
        "client, connected, protocol?, expiry?, expires_at?, durable, subscriptions, messages, bytes, filters: a list of filter, qos; next?",
    ),
    removes(
        "/api/v1/sessions/{client}",
        "session/end",
        &[CLIENT],
        "Ends the session of a client: its subscriptions and what waits for it on ordinary topics go, its mail stays",
        "ended",
    ),
    looks(
        "/api/v1/overview",
        "overview",
        &[],
        "What $SYS/inboxd/overview has",
        "as $SYS/inboxd/overview",
    ),
    looks(
        "/api/v1/top",
        "top",
        &[],
        "The largest and the oldest inboxes",
        "as $SYS/inboxd/top",
    ),
    Route {
        answered: Answered::ByBytes,
        ..looks(
            "/api/v1/backup",
            "backup",
            &[],
            "A backup of everything that the store keeps, taken while the broker goes on",
            "what `inboxd restore` takes; one that is cut off is no backup, and says so",
        )
    },
    Route {
        method: Method::Post,
        answered: Answered::ByEvent,
        ..looks(
            "/api/v1/trace",
            "trace/start",
            &[FROM, TO, ID, SECONDS],
            "Follows messages through their milestones, live",
            "trace and event (what, at, inbox, seq?, from?, id?, cause?, why?, dup?), at the end trace and ended",
        )
    },
];

impl Route {
    /// The path as the router reads it.
    pub(super) fn path_of_axum(&self) -> String {
        self.path.replace('{', ":").replace('}', "")
    }

    pub(super) fn filter(&self) -> MethodFilter {
        match self.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Delete => MethodFilter::DELETE,
        }
    }
}
