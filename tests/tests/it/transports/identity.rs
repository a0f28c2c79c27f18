//! Who a client is, by what it shows before CONNECT.

use std::io::{Read, Write};

use inbox_tests::tools::mosquitto_sub_output;
use inbox_tests::{Broker, Connect, RawClient, Version};

use super::websocket::{UPGRADE, frame, upgraded_by};
use super::{CONNECT, Files, listener, text, tls_listener};
use crate::authentication::{SECRET, token};

#[test]
fn a_client_certificate_says_who_a_client_is() {
    // Goal: with auth.certificate the common name of a verified certificate is the user: mosquitto reads that user's inbox, and no other.
    let files = Files::of_a_broker();
    // Clients without a user write to inboxes where the rules say so.
    let rules = "[[role]]\nname = \"anonymous\"\nwrite_to = [\"*\"]\n";
    std::fs::write(text(&files, "acl.toml"), rules).unwrap();
    let more = format!(
        "client_certificates = \"required\"\nclient_ca = {:?}\n[auth]\ncertificate = \"common-name\"\nanonymous_on_loopback = true\n[access]\nacl_file = {:?}\n",
        text(&files, "ca.pem"),
        text(&files, "acl.toml")
    );
    let broker = Broker::with_config(&tls_listener(&files, "tls", &more));
    files.write("ann-", &files.authority.client("ann"));
    let [ca, cert, key] = ["ca.pem", "ann-cert.pem", "ann-key.pem"].map(|name| text(&files, name));
    let port = broker.port_of("tls").to_string();
    let read = |id: &str| {
        let tls = ["-p", &port, "--cafile", &ca, "--cert", &cert, "--key", &key];
        let args = ["-i", id, "-t", id, "-q", "1", "-C", "1", "-W", "10"];
        mosquitto_sub_output(&broker, &[&tls[..], &args].concat())
    };
    let mut nobody = RawClient::open(&broker, Version::V5);
    nobody.send(&Connect::new(Version::V5, "").encode());
    nobody.connack();
    nobody.publish("ann", "for ann", 1);
    nobody.publish("bob", "for bob", 1);
    assert_eq!(read("ann").stdout, b"for ann\n");
    let bob = read("bob");
    assert!(!bob.status.success() && bob.stdout.is_empty());
}

#[test]
fn a_token_in_the_url_or_in_a_header_says_who_a_client_is() {
    // Goal: a browser shows its token in the URL, other clients in a header; one of another user's, a wrong one and none are refused, and no token is in
    // the log.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    let config = format!(
        "{}[auth.jwt]\nsecret_file = {file:?}\naudience = \"inboxd\"\n",
        listener("ws", "")
    );
    let broker = Broker::with_config(&config);
    let answer = |request: String| {
        let mut socket = upgraded_by(&broker, &request);
        socket.write_all(&frame(0x82, CONNECT)).unwrap();
        let mut head = [0; 9];
        socket.read_exact(&mut head).unwrap();
        // A frame of more than 125 bytes has two bytes of length more, a packet of more than 127 one.
        let packet = if head[1] == 126 { &head[4..] } else { &head[2..] };
        assert_eq!(packet[0], 0x20, "{head:?}");
        packet[3 + usize::from(packet[1] >= 0x80)]
    };
    let in_url = |token: &str| UPGRADE.replace("/mqtt ", &format!("/mqtt?token={token} "));
    let in_header = |token: &str| UPGRADE.replace("Host:", &format!("Authorization: Bearer {token}\r\nHost:"));
    let (ann, bob) = (token(SECRET, "ann", 60), token(SECRET, "bob", 60));
    assert_eq!(answer(in_url(&ann)), 0);
    assert_eq!(answer(in_header(&ann)), 0);
    for refused in [in_url(&bob), in_header(&format!("{ann}x")), UPGRADE.to_owned()] {
        assert_ne!(answer(refused), 0);
    }
    assert!(!broker.stderr().contains("eyJ"), "no token is in the log");
}
