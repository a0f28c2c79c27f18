//! What a reader is told when its sender changes its mind too late (contract rule 12).

use std::sync::Arc;

use inbox_types::{Amendment, Message, Seq};

use crate::mailbox::Amends;
use crate::receipts::{MARK, marked};

/// The user property that names the message which an edit is about.
const EDIT_OF: &str = "edit-of";

/// The message that a reader gets who had the earlier one, and what it does before that. `message` is what the sender published, and is to have this
/// `seq`.
pub(crate) fn told(amendment: Amendment, message: Message, seq: Seq) -> (Message, Amends) {
    match amendment {
        Amendment::Recall(id) => (recall(&id, message, seq), Amends::Recall(id)),
        Amendment::Edit(id) => {
            let mut new = message.clone();
            new.id = Some(id.clone());
            (edit(&id, message), Amends::Edit(id, Arc::new(new)))
        }
    }
}

/// It says whose it is, and its seq, which MQTT 3.1.1 does not show.
fn recall(id: &str, asked: Message, seq: Seq) -> Message {
    let text = serde_json::json!({ "notice": "recall", "from": asked.from.as_str(), "id": id, "seq": seq.0 });
    Message {
        id: None,
        payload: text.to_string().into(),
        properties: Some(Box::new(marked("recall"))),
        ..asked
    }
}

fn edit(id: &str, mut new: Message) -> Message {
    new.id = None;
    let properties = new.properties.get_or_insert_default();
    // What a client itself calls so would be taken for the broker's.
    properties.user.retain(|(name, _)| **name != *EDIT_OF);
    let marks = [(MARK.into(), "edit".into()), (EDIT_OF.into(), id.into())];
    properties.user.splice(0..0, marks);
    new
}

#[cfg(test)]
mod tests {
    use inbox_types::{ClientId, Expiry, Micros, Properties, Qos};

    use super::*;

    fn published() -> Message {
        let user = [("to", "x"), ("edit-of", "forged")].map(|(name, value)| (name.into(), value.into()));
        Message {
            from: ClientId::new("alice").unwrap(),
            id: Some("of the request".into()),
            at: Micros(7),
            expiry: Expiry::of(inbox_types::Age(10), 990, None),
            qos: Qos::ExactlyOnce,
            payload: "new".into(),
            properties: Some(Box::new(Properties {
                response_topic: Some("alice".into()),
                user: user.to_vec(),
                ..Properties::default()
            })),
        }
    }

    fn user(message: &Message) -> Vec<(&str, &str)> {
        let user = &message.properties.as_ref().unwrap().user;
        user.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    #[test]
    fn rule_12_a_recall_that_is_too_late_names_the_message() {
        // Goal: the notice is the sender's, says which message, asks for no receipts, and has an id of its own.
        let (told, amends) = super::told(Amendment::Recall("m1".into()), published(), Seq(9));
        assert!(matches!(amends, Amends::Recall(id) if &*id == "m1"));
        assert_eq!(
            (told.from.as_str(), told.id.clone(), told.qos),
            ("alice", None, Qos::ExactlyOnce)
        );
        assert_eq!(
            &told.payload[..],
            br#"{"from":"alice","id":"m1","notice":"recall","seq":9}"#
        );
        assert_eq!(
            (user(&told), told.receipts_wanted()),
            (vec![("$inboxd", "recall")], None)
        );
    }

    #[test]
    fn rule_12_an_edit_has_two_forms() {
        // Goal: in time it is the message itself, with its id; too late it has the mark that no client can set, and says which message it is about.
        let (told, amends) = super::told(Amendment::Edit("m1".into()), published(), Seq(9));
        let marks = vec![("$inboxd", "edit"), ("edit-of", "m1"), ("to", "x")];
        assert_eq!((user(&told), told.id.clone()), (marks, None));
        let Amends::Edit(id, new) = amends else {
            panic!("it is an edit")
        };
        assert_eq!((&*id, new.id.as_deref()), ("m1", Some("m1")));
        assert_eq!((&new.payload[..], &told.payload[..]), (&b"new"[..], &b"new"[..]));
    }
}
