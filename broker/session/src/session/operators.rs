//! What operators ask by publishing to `$SYS/inboxd/api/COMMAND`: sessions hand it on to whoever answers.

use access::Identity;
use bytes::Bytes;
use inbox_types::Qos;
use mqtt_codec::Publish;

/// What the topics of operators' requests begin with.
pub(super) const OPERATORS_TOPICS: &str = "$SYS/inboxd/api/";

/// Whether what is published to `topic` is a request of an operator.
#[inline]
pub fn is_operators_request(topic: &str) -> bool {
    topic.starts_with(OPERATORS_TOPICS)
}

/// Where a request is to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The Response Topic.
    pub topic: Box<str>,
    /// The Correlation Data.
    pub correlation_data: Option<Bytes>,
}

impl Reply {
    pub(super) fn wanted(publish: &Publish<'_>) -> Option<Self> {
        Some(Reply {
            topic: publish.properties.response_topic?.into(),
            correlation_data: publish.properties.correlation_data.map(Bytes::copy_from_slice),
        })
    }
}

/// What an operator asks for. It may: that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorsRequest {
    /// Who asks, and has the answer published.
    pub who: Identity,
    /// What is to be done: the topic behind `$SYS/inboxd/api/`.
    pub command: Box<str>,
    /// The payload.
    pub parameters: Bytes,
    /// With which QoS it came, and is answered.
    pub qos: Qos,
    /// Where the answer goes.
    pub reply: Reply,
}

/// Where operators' requests go. By default, nobody answers any.
#[derive(Debug, Default)]
pub struct Operators(Option<flume::Sender<OperatorsRequest>>);

/// Why a request was not handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotAsked {
    /// There is nobody who could answer.
    Nobody,
    /// As many wait as may.
    Busy,
}

impl Operators {
    /// Requests come out of what is given beside this; at most `most` wait there.
    pub fn bounded(most: usize) -> (Self, flume::Receiver<OperatorsRequest>) {
        let (sender, receiver) = flume::bounded(most);
        (Operators(Some(sender)), receiver)
    }

    pub(super) fn ask(&self, request: OperatorsRequest) -> Result<(), NotAsked> {
        let sender = self.0.as_ref().ok_or(NotAsked::Nobody)?;
        sender.try_send(request).map_err(|full| match full {
            flume::TrySendError::Full(_) => NotAsked::Busy,
            flume::TrySendError::Disconnected(_) => NotAsked::Nobody,
        })
    }
}
