//! A client that speaks just as much MQTT 3.1.1 as is needed here, and waits for every answer.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use inbox_test_support::packets::{Connect, Version, packet, string};

/// Nothing takes the broker longer than this.
const PATIENCE: Duration = Duration::from_secs(120);

const CONNACK: u8 = 0x20;
const PUBLISH_QOS1: u8 = 0x32;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const DISCONNECT: u8 = 0xE0;

/// A connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects as `id`, with a session that `is_kept` or not.
    pub(crate) fn connect(port: u16, id: &str, is_kept: bool) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Client {
            stream: BufReader::new(stream),
        };
        let connect = match is_kept {
            true => Connect::persistent(Version::V311, id),
            false => Connect::new(Version::V311, id),
        };
        client.write(&connect.encode())?;
        let answer = client.read(CONNACK)?;
        anyhow::ensure!(answer.get(1) == Some(&0), "CONNACK says {answer:?}");
        Ok(client)
    }

    /// Subscribes with QoS 1.
    pub(crate) fn subscribe(&mut self, filters: &[String]) -> anyhow::Result<()> {
        let mut body = vec![0, 1];
        for filter in filters {
            body.extend(string(filter));
            body.push(1);
        }
        self.write(&packet(SUBSCRIBE, &body))?;
        let answer = self.read(SUBACK)?;
        anyhow::ensure!(answer.iter().skip(2).all(|code| *code == 1), "SUBACK says {answer:?}");
        Ok(())
    }

    /// Publishes so many messages with QoS 1, of which up to `window` wait for their PUBACK, and waits for all.
    pub(crate) fn publish(&mut self, topic: &str, messages: u64, window: u64, payload: &[u8]) -> anyhow::Result<()> {
        let topic = string(topic);
        for n in 0..messages {
            if n >= window {
                self.read(PUBACK)?;
            }
            let id = u16::try_from(n % window + 1)?.to_be_bytes();
            self.write(&packet(PUBLISH_QOS1, &[&topic, &id[..], payload].concat()))?;
        }
        (0..messages.min(window)).try_for_each(|_| self.read(PUBACK).map(drop))
    }

    /// Says goodbye, and waits until the broker has closed the connection.
    pub(crate) fn leave(mut self) -> anyhow::Result<()> {
        self.write(&packet(DISCONNECT, &[]))?;
        self.stream.read_to_end(&mut Vec::new())?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.get_mut().write_all(bytes)?)
    }

    /// The body of the next packet, which is this one.
    fn read(&mut self, first: u8) -> anyhow::Result<Vec<u8>> {
        let [mut byte] = self.bytes()?;
        anyhow::ensure!(byte == first, "packet {byte:#x} came where {first:#x} was due");
        let (mut length, mut shift) = (0, 0);
        loop {
            [byte] = self.bytes()?;
            length |= usize::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    fn bytes<const N: usize>(&mut self) -> anyhow::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
