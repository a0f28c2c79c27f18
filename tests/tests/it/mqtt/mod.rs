//! MQTT 3.1.1 and MQTT 5 as the specifications have them, on ordinary topics unless the inbox is the point.

mod aliases;
mod connect;
mod expiry;
mod flow_control;
mod keep_alive;
mod ordinary;
mod packet_size;
mod properties;
mod retained;
mod sessions;
mod shared;
mod subscriptions;
mod takeover;
mod v31;
mod wills;
