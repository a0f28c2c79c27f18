//! Building MQTT packets by hand: what is asked for is what is sent, valid or not.

/// Which MQTT a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// MQTT 3.1.1.
    V311,
    /// MQTT 5.
    V5,
}

/// Both versions, for tests that hold for each.
impl Version {
    /// Every version that the broker speaks.
    pub const BOTH: [Version; 2] = [Version::V311, Version::V5];

    /// The protocol level in CONNECT (MQTT 5, section 3.1.2.2).
    pub fn level(self) -> u8 {
        match self {
            Version::V311 => 4,
            Version::V5 => 5,
        }
    }
}

/// Property identifiers (MQTT 5, section 2.2.2.2).
pub mod property {
    #![allow(missing_docs, reason = "the names are those of the specification")]
    pub const PAYLOAD_FORMAT: u8 = 0x01;
    pub const MESSAGE_EXPIRY: u8 = 0x02;
    pub const CONTENT_TYPE: u8 = 0x03;
    pub const RESPONSE_TOPIC: u8 = 0x08;
    pub const CORRELATION_DATA: u8 = 0x09;
    pub const SUBSCRIPTION_ID: u8 = 0x0b;
    pub const SESSION_EXPIRY: u8 = 0x11;
    pub const ASSIGNED_CLIENT_ID: u8 = 0x12;
    pub const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub const AUTHENTICATION_METHOD: u8 = 0x15;
    pub const AUTHENTICATION_DATA: u8 = 0x16;
    pub const REQUEST_PROBLEM: u8 = 0x17;
    pub const REQUEST_RESPONSE: u8 = 0x19;
    pub const RESPONSE_INFORMATION: u8 = 0x1a;
    pub const WILL_DELAY: u8 = 0x18;
    pub const REASON_STRING: u8 = 0x1f;
    pub const RECEIVE_MAXIMUM: u8 = 0x21;
    pub const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
    pub const TOPIC_ALIAS: u8 = 0x23;
    pub const RETAIN_AVAILABLE: u8 = 0x25;
    pub const USER: u8 = 0x26;
    pub const MAXIMUM_PACKET_SIZE: u8 = 0x27;
}

/// A property list under construction.
#[derive(Debug, Clone, Default)]
pub struct Props(Vec<u8>);

impl Props {
    /// No properties.
    pub fn new() -> Self {
        Props::default()
    }

    /// A property of one byte.
    pub fn byte(mut self, id: u8, value: u8) -> Self {
        self.0.extend([id, value]);
        self
    }

    /// A two-byte integer.
    pub fn two(mut self, id: u8, value: u16) -> Self {
        self.0.push(id);
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A four-byte integer.
    pub fn four(mut self, id: u8, value: u32) -> Self {
        self.0.push(id);
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A variable byte integer.
    pub fn var(mut self, id: u8, value: u32) -> Self {
        self.0.push(id);
        self.0.extend(remaining_length(value as usize));
        self
    }

    /// A string or binary data: both are two length bytes and the content.
    pub fn bytes(mut self, id: u8, value: impl AsRef<[u8]>) -> Self {
        self.0.push(id);
        self.0.extend(string(value.as_ref()));
        self
    }

    /// A user property.
    pub fn user(mut self, name: &str, value: &str) -> Self {
        self.0.push(property::USER);
        self.0.extend(string(name));
        self.0.extend(string(value));
        self
    }

    /// The list with its length in front.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = remaining_length(self.0.len());
        out.extend(&self.0);
        out
    }
}

/// A variable byte integer (MQTT 5, section 1.5.5), as short as it gets.
pub fn remaining_length(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = (value % 128) as u8;
        value /= 128;
        if value == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

/// Two length bytes and the content.
pub fn string(content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut out = (content.len() as u16).to_be_bytes().to_vec();
    out.extend(content);
    out
}

/// A packet with this first byte and this body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    out.extend(remaining_length(body.len()));
    out.extend(body);
    out
}

/// A will for [`Connect`].
#[derive(Debug, Clone)]
pub struct Will {
    /// Where it goes.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// With which QoS.
    pub qos: u8,
    /// Whether it is retained.
    pub retain: bool,
    /// MQTT 5 will properties, will delay among them.
    pub props: Props,
}

impl Will {
    /// A QoS 1 will without properties.
    pub fn new(topic: &str, payload: &str) -> Self {
        Will {
            topic: topic.into(),
            payload: payload.into(),
            qos: 1,
            retain: false,
            props: Props::new(),
        }
    }
}

/// A CONNECT packet.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Protocol version.
    pub version: Version,
    /// Clean Start (3.1.1: Clean Session).
    pub clean: bool,
    /// Seconds; 0 turns it off.
    pub keep_alive: u16,
    /// Client identifier.
    pub client_id: String,
    /// MQTT 5 properties.
    pub props: Props,
    /// The will.
    pub will: Option<Will>,
    /// User name and password.
    pub login: Option<(String, Vec<u8>)>,
}

impl Connect {
    /// A clean session without keep alive.
    pub fn new(version: Version, client_id: &str) -> Self {
        Connect {
            version,
            clean: true,
            keep_alive: 0,
            client_id: client_id.into(),
            props: Props::new(),
            will: None,
            login: None,
        }
    }

    /// A session that outlives the connection: clean session 0, and in MQTT 5 an expiry of an hour.
    pub fn persistent(version: Version, client_id: &str) -> Self {
        let mut connect = Connect::new(version, client_id);
        connect.clean = false;
        connect.props = connect.props.four(property::SESSION_EXPIRY, 3600);
        connect
    }

    /// Adds properties.
    pub fn props(mut self, props: Props) -> Self {
        self.props.0.extend(props.0);
        self
    }

    /// Adds a will.
    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// Adds a user name and a password.
    pub fn login(mut self, user: &str, password: impl AsRef<[u8]>) -> Self {
        self.login = Some((user.into(), password.as_ref().into()));
        self
    }

    /// Sets the keep alive, in seconds.
    pub fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut flags = u8::from(self.clean) << 1;
        if let Some(will) = &self.will {
            flags |= 0x04 | (will.qos << 3) | (u8::from(will.retain) << 5);
        }
        if self.login.is_some() {
            flags |= 0xC0;
        }
        let mut body = string("MQTT");
        body.extend([self.version.level(), flags]);
        body.extend(self.keep_alive.to_be_bytes());
        if self.version == Version::V5 {
            body.extend(self.props.encode());
        }
        body.extend(string(&self.client_id));
        if let Some(will) = &self.will {
            if self.version == Version::V5 {
                body.extend(will.props.encode());
            }
            body.extend(string(&will.topic));
            body.extend(string(&will.payload));
        }
        if let Some((user, password)) = &self.login {
            body.extend(string(user));
            body.extend(string(password));
        }
        packet(0x10, &body)
    }
}

/// A PUBLISH packet.
#[derive(Debug, Clone)]
pub struct PublishPacket {
    /// Topic name.
    pub topic: Vec<u8>,
    /// Payload.
    pub payload: Vec<u8>,
    /// 0 to 3: the caller may be wrong on purpose.
    pub qos: u8,
    /// RETAIN.
    pub retain: bool,
    /// DUP.
    pub dup: bool,
    /// Written when the QoS is above 0.
    pub packet_id: u16,
    /// MQTT 5 properties.
    pub props: Props,
}

impl PublishPacket {
    /// A publish without flags or properties.
    pub fn new(topic: impl AsRef<[u8]>, payload: impl AsRef<[u8]>, qos: u8, packet_id: u16) -> Self {
        PublishPacket {
            topic: topic.as_ref().to_vec(),
            payload: payload.as_ref().to_vec(),
            qos,
            retain: false,
            dup: false,
            packet_id,
            props: Props::new(),
        }
    }

    /// Sets RETAIN.
    pub fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    /// Sets DUP.
    pub fn dup(mut self) -> Self {
        self.dup = true;
        self
    }

    /// Sets the properties.
    pub fn props(mut self, props: Props) -> Self {
        self.props = props;
        self
    }

    /// The bytes.
    pub fn encode(&self, version: Version) -> Vec<u8> {
        let first = 0x30 | (u8::from(self.dup) << 3) | (self.qos << 1) | u8::from(self.retain);
        let mut body = string(&self.topic);
        if self.qos > 0 {
            body.extend(self.packet_id.to_be_bytes());
        }
        if version == Version::V5 {
            body.extend(self.props.encode());
        }
        body.extend(&self.payload);
        packet(first, &body)
    }
}

/// SUBSCRIBE for one filter; `options` is the options byte, `props` is ignored for 3.1.1.
pub fn subscribe(version: Version, packet_id: u16, filter: impl AsRef<[u8]>, options: u8, props: &Props) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.extend(props.encode());
    }
    body.extend(string(filter));
    body.push(options);
    packet(0x82, &body)
}

/// UNSUBSCRIBE for one filter.
pub fn unsubscribe(version: Version, packet_id: u16, filter: &str) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    if version == Version::V5 {
        body.push(0);
    }
    body.extend(string(filter));
    packet(0xa2, &body)
}

/// An acknowledgement with this first byte (0x40 PUBACK, 0x50 PUBREC, 0x70 PUBCOMP) and reason 0.
pub fn ack(first: u8, packet_id: u16) -> Vec<u8> {
    packet(first, &packet_id.to_be_bytes())
}

/// PUBREL.
pub fn pubrel(packet_id: u16) -> Vec<u8> {
    ack(0x62, packet_id)
}

/// PINGREQ.
pub fn ping() -> Vec<u8> {
    vec![0xc0, 0]
}

/// DISCONNECT; 3.1.1 has no reason.
pub fn disconnect(version: Version, reason: u8, props: &Props) -> Vec<u8> {
    match version {
        Version::V311 => packet(0xe0, &[]),
        Version::V5 => {
            let mut body = vec![reason];
            body.extend(props.encode());
            packet(0xe0, &body)
        }
    }
}
