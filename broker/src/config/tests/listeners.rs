//! Tests of `[[listener]]`.

use access::Anonymous;
use transport::ClientCertificates;

use super::super::*;
use super::{assert_says, load};

fn listener(keys: &str) -> Result<Config, ConfigError> {
    load(&format!(
        "[[listener]]\nname = \"lan\"\nlisten = \"127.0.0.1:2\"\n{keys}\n"
    ))
}

#[test]
fn what_carries_mqtt_is_said_by_transport() {
    // Goal: each transport takes its keys, with the defaults that the example file tells.
    let of = |keys: &str| listener(keys).unwrap().listeners.remove(0);
    assert_eq!(of("").transport, Transport::Tcp);
    assert_eq!(of("").proxy_protocol_from, []);
    let Transport::WebSocket(rules) = of("transport = \"ws\"").transport else {
        panic!("it is ws")
    };
    assert_eq!((rules.paths, rules.origins), (vec!["/mqtt".into(), "/".into()], vec![]));
    let keys = "transport = \"wss\"\ncertificate = \"c\"\nkey = \"k\"\npath = \"/x\"\norigins = [\"HTTPS://Example.org\", \"*\"]";
    let Transport::SecureWebSocket(files, rules) = of(keys).transport else {
        panic!("it is wss")
    };
    assert_eq!(files.client_certificates, ClientCertificates::No);
    assert_eq!(
        (rules.paths, rules.origins),
        (vec!["/x".into()], vec!["https://example.org".into(), "*".into()])
    );
    let nets = of("proxy_protocol_from = [\"10.0.0.0/8\", \"::1\"]").proxy_protocol_from;
    assert!(nets[0].contains(&"10.1.2.3".parse::<std::net::IpAddr>().unwrap()));
    assert_eq!(nets[1].prefix_len(), 128);
    let anonymous = Anonymous { is_everywhere: false };
    assert!(anonymous.serves(of("").listen.ip()));
}

#[test]
fn a_mistake_in_a_listener_names_it_and_says_what_to_do() {
    // Goal: every key that is wrong, missing or meaningless is refused with the name of its listener and what is allowed.
    let tls = |more: &str| format!("transport = \"tls\"\ncertificate = \"c\"\nkey = \"k\"\n{more}");
    for (keys, words) in [
        (
            "transport = \"quic\"".to_owned(),
            ["transport of \"lan\"", "\"tcp\" or \"tls\" or \"ws\" or \"wss\""],
        ),
        ("transport = \"tls\"".to_owned(), ["\"lan\" has no certificate", "PEM"]),
        (
            "transport = \"wss\"\ncertificate = \"c\"".to_owned(),
            ["\"lan\" has no key", "PEM"],
        ),
        (tls("certificates = 1"), ["no key \"certificates\"", "client_ca"]),
        (
            tls("client_ca = \"ca\""),
            ["client_ca of \"lan\"", "client_certificates"],
        ),
        (
            tls("client_certificates = \"required\""),
            ["client_certificates of \"lan\"", "client_ca"],
        ),
        (
            tls("client_certificates = \"maybe\""),
            ["client_certificates of \"lan\"", "\"optional\""],
        ),
        (tls("path = \"/mqtt\""), ["path of \"lan\"", "transport to \"ws\""]),
        ("key = \"k\"".to_owned(), ["key of \"lan\"", "transport to \"tls\""]),
        (
            "certificate = 3\ntransport = \"tls\"".to_owned(),
            ["certificate of \"lan\"", "text"],
        ),
        (
            "transport = \"ws\"\npath = \"mqtt\"".to_owned(),
            ["path of \"lan\"", "like \"/mqtt\""],
        ),
        (
            "transport = \"ws\"\norigins = [\"example.org\"]".to_owned(),
            ["origins of \"lan\"", "https://example.org"],
        ),
        (
            "transport = \"ws\"\norigins = [\"https://example.org/\"]".to_owned(),
            ["origins of \"lan\"", "origin"],
        ),
        (
            "transport = \"ws\"\norigins = \"*\"".to_owned(),
            ["origins of \"lan\"", "list"],
        ),
        (
            "proxy_protocol_from = [\"10.0.0.0/33\"]".to_owned(),
            ["proxy_protocol_from of \"lan\"", "10.0.0.0/8"],
        ),
    ] {
        assert_says(listener(&keys), &words);
    }
}
