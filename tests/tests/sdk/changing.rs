//! A sender changes its mind about what the broker has already (contract rule 12).

use inbox_client::{DeliveryKind, DropReason, Message, Recalled, Undelivered};
use inbox_tests::Broker;

use crate::{connect, take, within};

#[tokio::test]
async fn what_nobody_was_sent_is_taken_back_and_replaced() {
    // Goal: the recipient sees what is left alone; the handle of what was edited resolves with the new one, those of the others say what became of them.
    let broker = Broker::start();
    let alice = connect(&broker, "alice").await;
    let mut sent = Vec::new();
    for text in ["a mistake", "at six", "20 degrees", "21 degrees"] {
        let mut message = Message::text(text);
        if text.ends_with("degrees") {
            message = message.collapse("temperature");
        }
        let one = within(alice.send("bob", message)).await.unwrap();
        within(one.stored()).await.unwrap();
        sent.push(one);
    }
    assert_eq!(
        within(alice.recall("bob", sent[0].id())).await,
        Ok(Recalled::Undelivered)
    );
    assert_eq!(
        within(alice.edit("bob", sent[1].id(), "at seven")).await,
        Ok(Recalled::Undelivered)
    );
    let dropped = |why| Err(Undelivered::Dropped { why });
    assert_eq!(within(sent[0].delivered()).await, dropped(DropReason::Recalled));
    assert_eq!(within(sent[2].delivered()).await, dropped(DropReason::Collapsed));

    let bob = connect(&broker, "bob").await;
    let (degrees, edited) = (take(&bob).await, take(&bob).await);
    assert_eq!((degrees.text(), edited.text()), (Ok("21 degrees"), Ok("at seven")));
    assert_eq!(
        (edited.id.as_str(), &edited.kind),
        (sent[1].id(), &DeliveryKind::Message)
    );
    within(sent[1].delivered()).await.unwrap();
    within(sent[3].delivered()).await.unwrap();
}

#[tokio::test]
async fn a_recipient_who_had_it_is_told() {
    // Goal: of a recall and of an edit, by which message they are about; both are acknowledged like mail.
    let broker = Broker::start();
    let (alice, bob) = (connect(&broker, "alice").await, connect(&broker, "bob").await);
    let sent = within(alice.send("bob", "hello")).await.unwrap();
    assert_eq!(take(&bob).await.id, sent.id());
    assert_eq!(
        within(alice.edit("bob", sent.id(), "hallo")).await,
        Ok(Recalled::RecipientTold)
    );
    let edit = take(&bob).await;
    let kind = DeliveryKind::Edit {
        id: sent.id().to_owned(),
    };
    assert_eq!(
        (edit.text(), edit.from.as_str(), &edit.kind),
        (Ok("hallo"), "alice", &kind)
    );
    assert_eq!(
        within(alice.recall("bob", sent.id())).await,
        Ok(Recalled::RecipientTold)
    );
    let recall = take(&bob).await;
    assert_eq!(
        (recall.from.as_str(), &recall.kind),
        (
            "alice",
            &DeliveryKind::Recall {
                id: sent.id().to_owned()
            }
        )
    );
}
