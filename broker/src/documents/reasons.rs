//! Reason codes in the documents: those that the broker sends, and their names.

use std::collections::{BTreeMap, BTreeSet};

use super::page::{is_test, read, section, sources, table};

/// The constants of the codec: name to number.
fn constants() -> BTreeMap<String, u8> {
    let source = read("broker/codec/src/reason.rs");
    let lines = source.lines().filter_map(|line| line.strip_prefix("pub const "));
    lines
        .map(|line| {
            let (name, value) = line.split_once(": u8 = 0x").unwrap();
            (
                name.to_owned(),
                u8::from_str_radix(value.trim_end_matches(';'), 16).unwrap(),
            )
        })
        .collect()
}

/// The codes in a text: `0x97`, `0x81, 0x82`.
fn codes(text: &str) -> BTreeSet<u8> {
    let behind = text.split("0x").skip(1);
    behind.map(|rest| u8::from_str_radix(&rest[..2], 16).unwrap()).collect()
}

/// The pairs of packet and code of protocol.md.
fn told() -> BTreeSet<(String, u8)> {
    let page = read("docs/protocol.md");
    let rows = table(section(&page, "## Reason codes"), "| Packet | Code | When |");
    let mut told = BTreeSet::new();
    for row in rows {
        for packet in row[0].split(", ") {
            told.extend(codes(&row[1]).into_iter().map(|code| (packet.to_owned(), code)));
        }
    }
    told
}

#[test]
fn protocol_md_lists_the_reason_codes_that_are_sent() {
    // Goal: a code that the broker begins to send, or sends no more, changes the page.
    let constants = constants();
    let mut sent = BTreeSet::new();
    for path in sources() {
        // The codec knows which codes a packet may have; of these, it chooses only the ones of its errors.
        let is_sender =
            path.starts_with("broker/") && !path.starts_with("broker/codec/") || path == "broker/codec/src/error.rs";
        if !is_sender || is_test(&path) || path.starts_with("broker/src/documents/") {
            continue;
        }
        let source = read(&path);
        let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for rest in code.split("reason::").skip(1) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_')
                .collect();
            sent.extend(constants.get(&name));
        }
    }
    // Granted with QoS 1 and 2 are the QoS as a number; 0x80 is MQTT 3.1.1's, and DISCONNECT 0x04 and AUTH 0x19 are the client's.
    sent.extend([constants["GRANTED_QOS_1"], constants["GRANTED_QOS_2"]]);
    for not_of_mqtt_5 in ["UNSPECIFIED_ERROR", "DISCONNECT_WITH_WILL", "REAUTHENTICATE"] {
        sent.remove(&constants[not_of_mqtt_5]);
    }
    let listed: BTreeSet<u8> = told().into_iter().map(|(_, code)| code).collect();
    let hex = |codes: &BTreeSet<u8>| codes.iter().map(|code| format!("0x{code:02X}")).collect::<Vec<_>>();
    assert_eq!(hex(&listed), hex(&sent));
}

#[test]
fn delivery_md_tells_the_same_reason_codes() {
    // Goal: what delivery.md says of inboxes is a part of what protocol.md says, under the names of MQTT.
    let page = read("docs/delivery.md");
    let rows = table(
        section(&page, "## Limits and refusals"),
        "| Reason code | In | Meaning | What to do |",
    );
    let (constants, told) = (constants(), told());
    for row in &rows {
        let (code, name) = row[0].split_once(' ').unwrap();
        let number = *codes(code).first().unwrap();
        let constant = name.to_uppercase().replace(' ', "_");
        assert_eq!(constants.get(&constant), Some(&number), "{}", row[0]);
        for packet in row[1].split(" (").next().unwrap().split(", ") {
            assert!(
                told.contains(&(packet.to_owned(), number)),
                "{packet} {code} is not in protocol.md"
            );
        }
    }
    assert!(rows.len() >= 5);
}
