//! Which events make which spans: no I/O here.
//!
//! ```text
//! accepted ──▶ open ──▶ acknowledged, cancelled: ended, ok
//!                  ├──▶ expired, dropped, idle, purged: ended, with an error
//!                  └──▶ a minute has passed: ended, and its message waits
//! ```

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use inbox_bridge::{ClientId, Event, Micros, Now, Seq, message_id};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, Span};

/// Spans that are open at a time. Beyond, new messages have none.
const OPEN_MAX: usize = 10_000;
/// A message that waits for longer is not followed to its end, which may come in weeks.
const OPEN_FOR_MAX: Duration = Duration::from_secs(60);

/// See the module's documentation.
pub(super) struct Spans {
    tracer: SdkTracer,
    open: HashMap<(ClientId, Seq), Span>,
    /// When each was begun on the monotonic clock, in that order; some have ended.
    begun: VecDeque<(Duration, ClientId, Seq)>,
}

impl Spans {
    pub(super) fn new(tracer: SdkTracer) -> Self {
        Spans {
            tracer,
            open: HashMap::new(),
            begun: VecDeque::new(),
        }
    }

    pub(super) fn hears(&mut self, event: &Event, now: Now) {
        let at = system_time(now.wall);
        match event {
            Event::Accepted {
                inbox,
                seq,
                from,
                id,
                traceparent,
            } => {
                if self.begun.len() >= OPEN_MAX {
                    return;
                }
                let id = message_id(id.as_deref(), *seq);
                let span = self.begin(inbox, from, id, traceparent.as_deref(), at);
                // Nothing is kept of what is not sampled.
                if span.is_recording() {
                    self.open.insert((inbox.clone(), *seq), span);
                    self.begun.push_back((now.mono, inbox.clone(), *seq));
                }
            }
            Event::Committed { inbox, seq } => self.add(inbox, *seq, "committed", Vec::new(), at),
            Event::Delivered { inbox, seq, dup } => {
                self.add(inbox, *seq, "delivered", vec![KeyValue::new("mqtt.dup", *dup)], at);
            }
            Event::Acknowledged {
                inbox,
                seq,
                is_cancelled,
            } => {
                let outcome = if *is_cancelled { "cancelled" } else { "acknowledged" };
                self.end(inbox, *seq, outcome, Status::Ok, at);
            }
            Event::Left { inbox, seq, why, .. } => {
                let status = if why.is_withdrawn() {
                    Status::Ok
                } else {
                    unread(why.as_str())
                };
                self.end(inbox, *seq, why.as_str(), status, at);
            }
            Event::Purged { inbox, up_to, .. } => {
                let open = self.open.keys();
                let gone: Vec<_> = open.filter(|(of, seq)| of == inbox && seq <= up_to).cloned().collect();
                for (inbox, seq) in gone {
                    self.end(&inbox, seq, "purged", unread("purged"), at);
                }
            }
            _ => {}
        }
    }

    /// Ends those that are open for too long.
    pub(super) fn give_up(&mut self, now: Now) {
        while let Some((begun, inbox, seq)) = self.begun.front() {
            let is_over = !self.open.contains_key(&(inbox.clone(), *seq));
            if !is_over && now.mono < *begun + OPEN_FOR_MAX {
                return;
            }
            if let Some((_, inbox, seq)) = self.begun.pop_front() {
                self.end(&inbox, seq, "waiting", Status::Unset, system_time(now.wall));
            }
        }
    }

    /// Ends all of them: nobody hears any more.
    pub(super) fn give_up_all(&mut self, now: Now) {
        let open: Vec<_> = self.open.keys().cloned().collect();
        for (inbox, seq) in open {
            self.end(&inbox, seq, "waiting", Status::Unset, system_time(now.wall));
        }
    }

    fn begin(&self, inbox: &ClientId, from: &ClientId, id: String, parent: Option<&str>, at: SystemTime) -> Span {
        // Names and units are those of OpenTelemetry's semantic conventions for messaging.
        let attributes = vec![
            KeyValue::new("messaging.system", "mqtt"),
            KeyValue::new("messaging.operation.name", "store"),
            KeyValue::new("messaging.destination.name", inbox.as_str().to_owned()),
            KeyValue::new("messaging.message.id", id),
            KeyValue::new("inboxd.from", from.as_str().to_owned()),
        ];
        let parent = parent.map_or_else(Context::new, |parent| {
            let carrier = HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
            TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
        });
        // One name for all of them: names are what spans are grouped by.
        let builder = self.tracer.span_builder("inbox").with_kind(SpanKind::Consumer);
        let builder = builder.with_start_time(at).with_attributes(attributes);
        self.tracer.build_with_context(builder, &parent)
    }

    fn add(&mut self, inbox: &ClientId, seq: Seq, what: &'static str, attributes: Vec<KeyValue>, at: SystemTime) {
        if let Some(span) = self.open.get_mut(&(inbox.clone(), seq)) {
            span.add_event_with_timestamp(what, at, attributes);
        }
    }

    fn end(&mut self, inbox: &ClientId, seq: Seq, outcome: &'static str, status: Status, at: SystemTime) {
        if let Some(mut span) = self.open.remove(&(inbox.clone(), seq)) {
            span.set_attribute(KeyValue::new("inboxd.outcome", outcome));
            span.set_status(status);
            span.end_with_timestamp(at);
        }
    }
}

fn unread(why: &'static str) -> Status {
    Status::error(why)
}

fn system_time(at: Micros) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(at.0)
}

#[cfg(test)]
mod tests {
    use inbox_bridge::Left;
    use opentelemetry::trace::{SpanId, TraceId, TracerProvider};
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};

    use super::*;

    struct World {
        spans: Spans,
        exporter: InMemorySpanExporter,
        _provider: SdkTracerProvider,
    }

    impl World {
        fn new() -> Self {
            let exporter = InMemorySpanExporter::default();
            let provider = SdkTracerProvider::builder()
                .with_simple_exporter(exporter.clone())
                .build();
            World {
                spans: Spans::new(provider.tracer("test")),
                exporter,
                _provider: provider,
            }
        }

        fn hears(&mut self, event: &Event, seconds: u64) {
            self.spans.hears(event, now(seconds));
        }

        /// The outcomes of the spans that have ended.
        fn outcomes(&self) -> Vec<String> {
            let outcome = |span: &SpanData| {
                let mut attributes = span.attributes.iter();
                let outcome = attributes.find(|attribute| attribute.key.as_str() == "inboxd.outcome");
                outcome.unwrap().value.to_string()
            };
            self.ended().iter().map(outcome).collect()
        }

        fn ended(&self) -> Vec<SpanData> {
            self.exporter.get_finished_spans().unwrap()
        }
    }

    fn now(seconds: u64) -> Now {
        Now {
            wall: Micros(1_000_000 * (1000 + seconds)),
            mono: Duration::from_secs(seconds),
        }
    }

    fn id(name: &str) -> ClientId {
        ClientId::new(name).unwrap()
    }

    fn accepted(seq: u64, traceparent: Option<&str>) -> Event {
        Event::Accepted {
            inbox: id("bob"),
            seq: Seq(seq),
            from: id("alice"),
            id: None,
            traceparent: traceparent.map(Box::from),
        }
    }

    fn acknowledged(seq: u64, is_cancelled: bool) -> Event {
        Event::Acknowledged {
            inbox: id("bob"),
            seq: Seq(seq),
            is_cancelled,
        }
    }

    #[test]
    fn a_span_goes_from_acceptance_to_the_end_of_its_message() {
        // Goal: with its events and times, and the outcome; what left unread is an error, what waits for long is not.
        let mut world = World::new();
        (1..=5).for_each(|seq| world.hears(&accepted(seq, None), 1));
        let (inbox, seq) = (id("bob"), Seq(1));
        world.hears(&Event::Committed { inbox, seq }, 2);
        world.hears(
            &Event::Delivered {
                inbox: id("bob"),
                seq,
                dup: false,
            },
            3,
        );
        world.hears(&acknowledged(1, false), 4);
        world.hears(&acknowledged(2, true), 4);
        world.hears(
            &Event::Left {
                inbox: id("bob"),
                seq: Seq(3),
                from: id("alice"),
                id: None,
                why: Left::Expired,
            },
            5,
        );
        world.hears(
            &Event::Purged {
                inbox: id("bob"),
                up_to: Seq(4),
                messages: 1,
            },
            5,
        );
        world.spans.give_up(now(60));
        assert_eq!(world.outcomes(), ["acknowledged", "cancelled", "expired", "purged"]);
        world.spans.give_up(now(61));
        assert_eq!(world.outcomes()[4], "waiting");
        // It is not known any more.
        world.hears(&acknowledged(5, false), 62);
        let ended = world.ended();
        assert_eq!(ended.len(), 5);
        let first = &ended[0];
        assert_eq!(
            (first.start_time, first.end_time),
            (system_time(now(1).wall), system_time(now(4).wall))
        );
        let events: Vec<_> = first.events.iter().map(|event| &*event.name).collect();
        assert_eq!(events, ["committed", "delivered"]);
        assert_eq!((&first.status, &ended[4].status), (&Status::Ok, &Status::Unset));
        assert_eq!(ended[2].status, Status::error("expired"));
        assert!(world.spans.open.is_empty() && world.spans.begun.is_empty());
    }

    #[test]
    fn a_sender_says_which_trace_a_message_is_part_of() {
        // Goal: W3C Trace Context: the parent, and whether it is sampled; what is no traceparent is passed over.
        const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
        let mut world = World::new();
        for (seq, flags) in [(1, "01"), (2, "00")] {
            let parent = format!("00-{TRACE}-b7ad6b7169203331-{flags}");
            world.hears(&accepted(seq, Some(&parent)), 1);
            world.hears(&acknowledged(seq, false), 2);
        }
        world.hears(&accepted(3, Some("no traceparent")), 1);
        world.hears(&acknowledged(3, false), 2);
        let ended = world.ended();
        assert_eq!(ended.len(), 2, "the second is not sampled");
        assert_eq!(ended[0].span_context.trace_id(), TraceId::from_hex(TRACE).unwrap());
        assert_eq!(ended[0].parent_span_id, SpanId::from_hex("b7ad6b7169203331").unwrap());
        assert_eq!(ended[1].parent_span_id, SpanId::INVALID);
    }

    #[test]
    fn spans_that_are_open_are_bounded() {
        // Goal: a flood that nobody reads does not fill the memory, and what ended makes room at the next look.
        let mut world = World::new();
        let most = OPEN_MAX as u64;
        (0..most + 10).for_each(|seq| world.hears(&accepted(seq, None), 1));
        assert_eq!(world.spans.open.len(), OPEN_MAX);
        (0..most).for_each(|seq| world.hears(&acknowledged(seq, false), 2));
        world.spans.give_up(now(3));
        world.hears(&accepted(most + 20, None), 3);
        assert_eq!(world.spans.open.len(), 1);
        world.spans.give_up_all(now(4));
        assert_eq!(world.outcomes().last().map(String::as_str), Some("waiting"));
    }
}
