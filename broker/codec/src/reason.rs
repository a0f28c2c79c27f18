//! Reason codes (MQTT 5, table 2-6).
//!
//! The table is complete, so that nobody has to look further, whether or not the broker sends each code.

/// Success; normal disconnection. As a SUBACK code: granted QoS 0.
pub const SUCCESS: u8 = 0x00;
/// Granted QoS 1.
pub const GRANTED_QOS_1: u8 = 0x01;
/// Granted QoS 2.
pub const GRANTED_QOS_2: u8 = 0x02;
/// The client leaves, and wants its will published.
pub const DISCONNECT_WITH_WILL: u8 = 0x04;
/// The message was accepted and nobody is subscribed to it.
pub const NO_MATCHING_SUBSCRIBERS: u8 = 0x10;
/// The filter to unsubscribe from was not subscribed to.
pub const NO_SUBSCRIPTION_EXISTED: u8 = 0x11;
/// Extended authentication goes on.
pub const CONTINUE_AUTHENTICATION: u8 = 0x18;
/// The client starts to authenticate again.
pub const REAUTHENTICATE: u8 = 0x19;
/// An error that no other code describes; MQTT 3.1.1's failure code in SUBACK.
pub const UNSPECIFIED_ERROR: u8 = 0x80;
/// The packet could not be parsed.
pub const MALFORMED_PACKET: u8 = 0x81;
/// The packet was parsed and breaks the protocol.
pub const PROTOCOL_ERROR: u8 = 0x82;
/// Valid, and not accepted by this implementation.
pub const IMPLEMENTATION_SPECIFIC_ERROR: u8 = 0x83;
/// The server does not speak this version of MQTT.
pub const UNSUPPORTED_PROTOCOL_VERSION: u8 = 0x84;
/// The client ID is a string that the server does not allow.
pub const CLIENT_IDENTIFIER_NOT_VALID: u8 = 0x85;
/// The server does not accept the user name or password.
pub const BAD_USER_NAME_OR_PASSWORD: u8 = 0x86;
/// The client may not do this.
pub const NOT_AUTHORIZED: u8 = 0x87;
/// The server is not available.
pub const SERVER_UNAVAILABLE: u8 = 0x88;
/// The server is busy; try again later.
pub const SERVER_BUSY: u8 = 0x89;
/// The client was banned by an operator.
pub const BANNED: u8 = 0x8A;
/// The server is shutting down.
pub const SERVER_SHUTTING_DOWN: u8 = 0x8B;
/// The authentication method is not supported, or not the one in use.
pub const BAD_AUTHENTICATION_METHOD: u8 = 0x8C;
/// Nothing came for one and a half times the keep alive time.
pub const KEEP_ALIVE_TIMEOUT: u8 = 0x8D;
/// Another connection uses the same client ID.
pub const SESSION_TAKEN_OVER: u8 = 0x8E;
/// The topic filter is not accepted.
pub const TOPIC_FILTER_INVALID: u8 = 0x8F;
/// The topic name is not accepted.
pub const TOPIC_NAME_INVALID: u8 = 0x90;
/// The packet identifier is in use.
pub const PACKET_IDENTIFIER_IN_USE: u8 = 0x91;
/// The packet identifier is not known.
pub const PACKET_IDENTIFIER_NOT_FOUND: u8 = 0x92;
/// More unacknowledged publishes than receive maximum.
pub const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
/// The topic alias is above topic alias maximum, or 0.
pub const TOPIC_ALIAS_INVALID: u8 = 0x94;
/// The packet is larger than maximum packet size.
pub const PACKET_TOO_LARGE: u8 = 0x95;
/// Messages come too fast.
pub const MESSAGE_RATE_TOO_HIGH: u8 = 0x96;
/// A limit that an administrator set is exceeded.
pub const QUOTA_EXCEEDED: u8 = 0x97;
/// The connection is closed by an administrator.
pub const ADMINISTRATIVE_ACTION: u8 = 0x98;
/// The payload is not what the payload format indicator says.
pub const PAYLOAD_FORMAT_INVALID: u8 = 0x99;
/// Retained messages are not supported.
pub const RETAIN_NOT_SUPPORTED: u8 = 0x9A;
/// The QoS is above maximum QoS.
pub const QOS_NOT_SUPPORTED: u8 = 0x9B;
/// Use another server for now.
pub const USE_ANOTHER_SERVER: u8 = 0x9C;
/// Use another server from now on.
pub const SERVER_MOVED: u8 = 0x9D;
/// Shared subscriptions are not supported.
pub const SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: u8 = 0x9E;
/// Connections come too fast.
pub const CONNECTION_RATE_EXCEEDED: u8 = 0x9F;
/// The longest time for this connection is over.
pub const MAXIMUM_CONNECT_TIME: u8 = 0xA0;
/// Subscription identifiers are not supported.
pub const SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED: u8 = 0xA1;
/// Wildcard subscriptions are not supported.
pub const WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED: u8 = 0xA2;
