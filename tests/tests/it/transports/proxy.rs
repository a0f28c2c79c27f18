//! The PROXY protocol: who is believed, and what is believed of them.

use std::io::{Read, Write};

use inbox_tests::{Broker, told};

use super::{CONNACK, CONNECT};

fn broker(from: &str) -> Broker {
    Broker::with_config(&format!(
        "[[listener]]\nname = \"tcp\"\nlisten = \"127.0.0.1:0\"\nproxy_protocol_from = [{from:?}]\n"
    ))
}

const V2_FROM_LOOPBACK: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x07\x7f\0\0\x01\x12\x34\x07\x5b";

#[test]
fn the_address_in_a_proxy_header_is_the_clients() {
    // Goal: behind a listed load balancer the client is who the header says: one of another machine is not served without authentication, one
    // of this machine is; both versions; and whoever leaves the header out is refused.
    let broker = broker("127.0.0.0/8");
    let v1 = |client: &str| format!("PROXY TCP4 {client} 127.0.0.1 4660 1883\r\n").into_bytes();
    for header in [&v1("127.0.0.7")[..], V2_FROM_LOOPBACK] {
        let mut client = broker.socket("tcp");
        client.write_all(header).unwrap();
        client.write_all(CONNECT).unwrap();
        let mut connack = [0; 4];
        client.read_exact(&mut connack).unwrap();
        assert_eq!(connack, CONNACK);
    }
    let refused = told(broker.socket("tcp"), &[&v1("192.0.2.9")[..], CONNECT].concat());
    assert_eq!(refused[..1], [0x20]);
    broker.wait_for_log("client=192.0.2.9 cause=connect_not_authorized");
    assert_eq!(told(broker.socket("tcp"), CONNECT), b"");
    broker.wait_for_log("cause=connect_proxy_header");
    assert_eq!(told(broker.socket("tcp"), b"PROXY TCP4 nonsense\r\n"), b"");
    broker.wait_for_log("the PROXY header cannot be read");
}

#[test]
fn a_stranger_with_a_proxy_header_is_refused() {
    // Goal: an address that is not listed cannot say who it is: both versions are refused with a record; without a header it is served.
    let broker = broker("192.0.2.0/24");
    for header in [b"PROXY TCP4 127.0.0.7 127.0.0.1 4660 1883\r\n", V2_FROM_LOOPBACK] {
        assert_eq!(told(broker.socket("tcp"), &[header, CONNECT].concat()), b"");
    }
    broker.wait_for_log("cause=connect_proxy_stranger");
    let mut client = broker.socket("tcp");
    client.write_all(CONNECT).unwrap();
    let mut connack = [0; 4];
    client.read_exact(&mut connack).unwrap();
    assert_eq!(connack, CONNACK);
}
