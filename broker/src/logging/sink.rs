//! Where records go: to standard error, or to a file of their own, through a bounded buffer and a thread of its own.
//!
//! **Promise:** logging ends and blocks nothing. A record is put into memory, and a thread writes it. Where that thread cannot write (a
//! pipe whose reader is gone or stuck, a full disk), or the buffer is full, records are lost, counted, and the loss is told when
//! writing works again.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::format::Line;
use crate::config::LogFormat;

/// Bytes of records that wait to be written. Beyond, records are lost.
const WAITING_BYTES_MAX: usize = 1024 * 1024;
/// One record has at most so many bytes; the rest of it is cut off.
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// How soon a file that does not block, and is full, is tried again.
const RETRY: Duration = Duration::from_millis(20);

/// The way of records to an output.
#[derive(Clone)]
pub(super) struct Sink(Arc<Spool>);

struct Spool {
    waiting: Mutex<Waiting>,
    /// Records came, or all of them are written.
    changed: Condvar,
    line: Line,
    /// What it writes to, for people.
    output: &'static str,
}

#[derive(Default)]
struct Waiting {
    /// Whole records, each one line.
    bytes: Vec<u8>,
    /// The thread has taken records and has not written them yet.
    is_writing: bool,
    /// Records lost since that was last told.
    lost: u64,
    /// Records lost since the start.
    lost_total: u64,
}

impl Sink {
    /// Begins to write to `out`, which people know by the name `output`.
    pub(super) fn start(line: Line, output: &'static str, out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Spool {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            line,
            output,
        });
        let writer = shared.clone();
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.write_for_ever(out))?;
        Ok(Sink(shared))
    }

    /// Takes one record. Never waits for the output.
    pub(super) fn put(&self, record: &[u8]) {
        let mut waiting = self.0.waiting.lock();
        if waiting.bytes.len() + record.len().min(RECORD_BYTES_MAX) > WAITING_BYTES_MAX {
            waiting.lose(1);
            return;
        }
        if record.len() > RECORD_BYTES_MAX {
            let cut = record.get(..RECORD_BYTES_MAX).unwrap_or_default();
            // The cut may be within a character; its first bytes are replaced.
            waiting.bytes.extend_from_slice(String::from_utf8_lossy(cut).as_bytes());
            waiting.bytes.push(b'\n');
        } else {
            waiting.bytes.extend_from_slice(record);
        }
        drop(waiting);
        self.0.changed.notify_all();
    }

    /// Takes a record that is about the process itself, whatever the log's level is.
    pub(super) fn put_own(&self, level: Level, message: &str) {
        self.put(self.0.line.own(level, message).as_bytes());
    }

    pub(super) fn is_json(&self) -> bool {
        self.0.line.format == LogFormat::Json
    }

    /// Records lost since the start.
    pub(super) fn lost_total(&self) -> u64 {
        self.0.waiting.lock().lost_total
    }

    /// Waits until everything is written, and no longer than `patience`: the output may be stuck.
    pub(super) fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut waiting = self.0.waiting.lock();
        while waiting.is_writing || !waiting.bytes.is_empty() {
            if self.0.changed.wait_until(&mut waiting, until).timed_out() {
                return;
            }
        }
    }
}

impl Waiting {
    fn lose(&mut self, records: u64) {
        self.lost += records;
        self.lost_total += records;
    }
}

impl Spool {
    fn write_for_ever(&self, mut out: impl Write) {
        // Half a record may stand at the end of the output: the next one begins a line of its own.
        let mut is_broken_off = false;
        loop {
            let (records, lost) = self.take();
            let mut text = Vec::new();
            if is_broken_off {
                text.push(b'\n');
            }
            if lost > 0 {
                let output = self.output;
                let told = format!("{lost} log records were lost: {output} was not written to in time, or not at all");
                text.extend_from_slice(self.line.own(Level::WARN, &told).as_bytes());
            }
            let told_until = text.len();
            text.extend_from_slice(&records);
            let written = write_all(&mut out, &text);
            let is_told = written >= told_until;
            let unwritten = text.get(written.max(told_until)..).unwrap_or_default();
            if written > 0 {
                is_broken_off = text.get(written - 1).is_some_and(|last| *last != b'\n');
            }
            let mut waiting = self.waiting.lock();
            waiting.is_writing = false;
            if is_told {
                waiting.lost -= lost;
            }
            waiting.lose(lines(unwritten));
            drop(waiting);
            self.changed.notify_all();
        }
    }

    /// Waits for records, and takes them, with the number of those that were lost before.
    fn take(&self) -> (Vec<u8>, u64) {
        let mut waiting = self.waiting.lock();
        while waiting.bytes.is_empty() {
            self.changed.wait(&mut waiting);
        }
        waiting.is_writing = true;
        (std::mem::take(&mut waiting.bytes), waiting.lost)
    }
}

/// Writes as much of `text` as can be written, and gives how much that was.
fn write_all(out: &mut impl Write, text: &[u8]) -> usize {
    let mut written = 0;
    while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
        match out.write(rest) {
            Ok(0) => break,
            Ok(n) => written += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Somebody made the file one that does not block. The buffer bounds what waits meanwhile.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(RETRY),
            // The next records try again: a disk may have room by then.
            Err(_) => break,
        }
    }
    written
}

/// How many records `bytes` is, or ends.
fn lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// One record at a time: the formatter writes each with one call.
pub(super) struct Record<'s>(&'s Sink);

impl Write for Record<'_> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.put(record);
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'s> MakeWriter<'s> for Sink {
    type Writer = Record<'s>;

    fn make_writer(&'s self) -> Record<'s> {
        Record(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// For what happens at once, but on a thread of its own.
    const SOON: Duration = Duration::from_secs(60);
    const LINE: Line = Line {
        format: LogFormat::Pretty,
        has_colours: false,
    };

    /// An output that does what it is told for each write.
    struct Told {
        orders: Receiver<Order>,
        seen: Arc<Mutex<String>>,
    }

    enum Order {
        Take(usize),
        Fail(ErrorKind),
    }

    impl Write for Told {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.orders.recv().unwrap() {
                Order::Take(most) => {
                    let taken = &bytes[..most.min(bytes.len())];
                    self.seen.lock().push_str(std::str::from_utf8(taken).unwrap());
                    Ok(taken.len())
                }
                Order::Fail(kind) => Err(kind.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn told() -> (Sink, SyncSender<Order>, Arc<Mutex<String>>) {
        let (order, orders) = sync_channel(16);
        let seen = Arc::<Mutex<String>>::default();
        let sink = Sink::start(
            LINE,
            "the test",
            Told {
                orders,
                seen: seen.clone(),
            },
        )
        .unwrap();
        (sink, order, seen)
    }

    #[test]
    fn a_disk_that_is_full_loses_records_and_tells_it_later() {
        // Goal: a failed write is counted, the half record that it left ends its line, and the loss is told when there is room.
        let (sink, order, seen) = told();
        order.send(Order::Take(3)).unwrap();
        order.send(Order::Fail(ErrorKind::StorageFull)).unwrap();
        sink.put(b"first record\n");
        sink.flush(SOON);
        assert_eq!(sink.lost_total(), 1);
        order.send(Order::Fail(ErrorKind::StorageFull)).unwrap();
        sink.put(b"second\n");
        sink.flush(SOON);
        assert_eq!(sink.lost_total(), 2);
        order.send(Order::Take(usize::MAX)).unwrap();
        sink.put(b"third\n");
        sink.flush(SOON);
        let seen = seen.lock().clone();
        assert!(seen.starts_with("fir\n"), "{seen}");
        assert!(seen.contains("WARN inboxd: 2 log records were lost"), "{seen}");
        assert!(seen.ends_with("third\n") && !seen.contains("second"), "{seen}");
    }

    #[test]
    fn a_reader_that_is_stuck_blocks_nobody() {
        // Goal: with an output that takes nothing, putting records returns at once, memory is bounded, and flushing gives up.
        let (sink, order, seen) = told();
        let record = vec![b'x'; 1023];
        let record = [record.as_slice(), b"\n"].concat();
        for _ in 0..5000 {
            sink.put(&record);
        }
        assert!(sink.0.waiting.lock().bytes.len() <= WAITING_BYTES_MAX);
        let lost = sink.lost_total();
        assert!((2900..=4000).contains(&lost), "{lost}");
        sink.flush(Duration::from_millis(50));
        for _ in 0..2 {
            order.send(Order::Take(usize::MAX)).unwrap();
        }
        sink.flush(SOON);
        assert_eq!(seen.lock().matches("log records were lost").count(), 1);
    }

    #[test]
    fn a_record_is_cut_to_its_limit() {
        // Goal: one record cannot take the buffer for itself, and stays one line of UTF-8.
        let (sink, order, seen) = told();
        order.send(Order::Take(usize::MAX)).unwrap();
        sink.put(format!("{}\n", "ä".repeat(RECORD_BYTES_MAX)).as_bytes());
        sink.flush(SOON);
        let seen = seen.lock();
        assert!(
            seen.len() <= RECORD_BYTES_MAX + 4 && seen.ends_with('\n'),
            "{}",
            seen.len()
        );
    }
}
