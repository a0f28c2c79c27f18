//! Who may do what, cell by cell: every way to say who one is, over every transport, in both versions, against a table written by hand.
//!
//! The same table holds for every way: whoever has the role `staff`, by its password line, its token, the operator's service or the file of rules, may
//! do the same as any other.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use inbox_test_support::certificates::{Files, Signed};

use inbox_tests::{Answer, Broker, Connect, HttpService, PublishPacket, RawClient, Tunnel, Version};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::authentication::{SECRET, passwd, signed_token};

/// `cora` has her role here, the others elsewhere.
const RULES: &str = r#"[[role]]
name = "staff"
members = ["cora"]
publish = ["task/%u/#", "seen/%c"]
subscribe = ["task/#"]
deny_subscribe = ["task/private/#"]
[[role]]
name = "everyone"
subscribe = ["news/+"]
deny_publish = ["news/#"]
[[role]]
name = "anonymous"
write_to = ["desk"]
[[inbox]]
of = "boss"
allow = ["role:staff"]
[[inbox]]
of = "vault"
deny = ["*"]
"#;

/// How somebody says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Password,
    Token,
    Service,
    Certificate,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Staff,
    User,
    Nobody,
}

const EVERYBODY: [(&str, Way, Who); 9] = [
    ("pam", Way::Password, Who::Staff),
    ("pete", Way::Password, Who::User),
    ("tina", Way::Token, Who::Staff),
    ("tom", Way::Token, Who::User),
    ("hana", Way::Service, Who::Staff),
    ("hugo", Way::Service, Who::User),
    ("cora", Way::Certificate, Who::Staff),
    ("carl", Way::Certificate, Who::User),
    ("anonymous", Way::Nothing, Who::Nobody),
];

/// A client ID, with `%u` for the user, and who may use it.
const CLIENT_IDS: [(&str, &[Who]); 5] = [
    ("%u", &[Who::Staff, Who::User, Who::Nobody]),
    ("%u~2", &[Who::Staff, Who::User, Who::Nobody]),
    ("desk", &[]),
    ("%uX", &[]),
    ("pam~2", &[]),
];

/// A topic, and who may publish to it.
const PUBLISHES: [(&str, &[Who]); 10] = [
    ("task/%u/1", &[Who::Staff]),
    ("task/%u", &[Who::Staff]),
    ("task/somebody/1", &[]),
    ("seen/%u~1", &[Who::Staff]),
    ("seen/%u", &[]),
    ("news/1", &[]),
    ("desk", &[Who::Staff, Who::User, Who::Nobody]),
    ("shelf", &[Who::Staff, Who::User]),
    ("boss", &[Who::Staff]),
    ("vault", &[]),
];

/// A filter, and who may subscribe to it.
const SUBSCRIPTIONS: [(&str, &[Who]); 12] = [
    ("%u~1", &[Who::Staff, Who::User, Who::Nobody]),
    ("%u", &[]),
    ("desk", &[]),
    ("$share/g/%u~1", &[]),
    ("task/open/#", &[Who::Staff]),
    ("task/#", &[]),
    ("task/private/x", &[]),
    ("$share/g/task/open/x", &[Who::Staff]),
    ("news/x", &[Who::Staff, Who::User, Who::Nobody]),
    ("news/#", &[]),
    ("#", &[]),
    ("$SYS/#", &[]),
];

struct World {
    broker: Broker,
    files: Files,
    _service: HttpService,
}

impl World {
    fn new(directory: &Path) -> Self {
        let files = Files::of_a_broker();
        let service = HttpService::start(|asked| {
            let asked: Value = serde_json::from_slice(&asked.body).unwrap();
            match (asked["user"].as_str(), asked["password"].as_str()) {
                (Some("hana"), Some("hana's")) => Answer::json(r#"{"allow": true, "roles": ["staff"]}"#),
                (Some("hugo"), Some("hugo's")) => Answer::json(r#"{"allow": true}"#),
                _ => Answer::json(r#"{"allow": false}"#),
            }
        });
        let path = |name: &str| directory.join(name);
        passwd(&path("users"), &["pam", "--role", "staff"], "pam's");
        passwd(&path("users"), &["pete"], "pete's");
        fs::write(path("secret"), SECRET).unwrap();
        fs::write(path("acl.toml"), RULES).unwrap();
        let tls = format!(
            "certificate = {:?}\nkey = {:?}\nclient_certificates = \"optional\"\nclient_ca = {:?}\n",
            files.path("cert.pem"),
            files.path("key.pem"),
            files.path("ca.pem")
        );
        let listener = |name: &str, more: &str| {
            format!("[[listener]]\nname = \"{name}\"\ntransport = \"{name}\"\nlisten = \"127.0.0.1:0\"\n{more}")
        };
        let config = format!(
            "{}{}{}[auth]\npassword_file = {:?}\ncertificate = \"common-name\"\nanonymous_on_loopback = true\n\
             [auth.jwt]\nsecret_file = {:?}\n[auth.http]\nurl = {:?}\n[access]\nacl_file = {:?}\n",
            listener("tls", &tls),
            listener("ws", ""),
            listener("wss", &tls),
            path("users"),
            path("secret"),
            service.url("/"),
            path("acl.toml"),
        );
        World {
            broker: Broker::with_config(&config),
            files,
            _service: service,
        }
    }

    /// A port that leads to the broker over this transport; with the certificate of a client, where it has one.
    fn way_in(&self, transport: &str, certificate: Option<&Signed>) -> Tunnel {
        let to = match transport {
            "tcp" => self.broker.port(),
            name => self.broker.port_of(name),
        };
        let tls = matches!(transport, "tls" | "wss").then(|| self.tls(certificate));
        Tunnel::start(to, tls, matches!(transport, "ws" | "wss"))
    }

    fn tls(&self, certificate: Option<&Signed>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.files.authority.pem.as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match certificate {
            None => config.with_no_client_auth(),
            Some(signed) => {
                let chain = vec![CertificateDer::from_pem_slice(signed.certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }
}

fn connect(version: Version, id: &str, user: &str, way: Way, who: Who) -> Connect {
    let connect = Connect::new(version, id);
    match way {
        Way::Password | Way::Service => connect.login(user, format!("{user}'s")),
        Way::Token => {
            let roles = if who == Who::Staff { r#"["staff"]"# } else { "[]" };
            connect.login(
                "token",
                signed_token(
                    SECRET,
                    &format!(r#"{{"sub":"{user}","roles":{roles},"exp":4000000000}}"#),
                ),
            )
        }
        Way::Certificate | Way::Nothing => connect,
    }
}

/// The reason code of one publish: of PUBACK, or, in MQTT 3.1.1, which has none, of the notice in the own inbox, which may come after PUBACK.
fn published(client: &mut RawClient, topic: &str, is_denied: bool) -> u8 {
    let ack = client.publish_packet(PublishPacket::new(topic, "x", 1, 0)).unwrap();
    if client.version() == Version::V311 && is_denied {
        let notice = client.receive_and_ack();
        let said: Value = serde_json::from_slice(&notice.payload).unwrap();
        assert_eq!(said["topic"].as_str(), Some(topic));
        return said["reason"].as_u64().unwrap() as u8;
    }
    assert!(client.publishes_so_far().is_empty(), "a notice came for {topic}");
    ack.reason
}

#[test]
fn every_cell_is_as_the_table_says() {
    // Goal: nine people by five ways, over four transports, in two versions: five client IDs, ten publishes and twelve subscriptions of each.
    let directory = tempfile::tempdir().unwrap();
    let world = World::new(directory.path());
    let mut cells = 0;
    for transport in ["tcp", "tls", "ws", "wss"] {
        for (user, way, who) in EVERYBODY {
            let certificate = (way == Way::Certificate).then(|| world.files.authority.client(user));
            if certificate.is_some() && !matches!(transport, "tls" | "wss") {
                continue;
            }
            let tunnel = world.way_in(transport, certificate.as_ref());
            for version in [Version::V311, Version::V5] {
                let cell = format!("{user} by {way:?} over {transport} in {version:?}");
                let open = |id: &str| {
                    let mut client = RawClient::open_port(tunnel.port(), version);
                    client.send(&connect(version, &id.replace("%u", user), user, way, who).encode());
                    let code = client.connack().code;
                    (client, code)
                };
                let (subscribe_denied, connect_denied) = match version {
                    Version::V311 => (0x80, 5),
                    Version::V5 => (0x87, 0x87),
                };
                for (id, may) in CLIENT_IDS {
                    // Pam's is Pam's.
                    let may = may.contains(&who) || (id, user) == ("pam~2", "pam");
                    assert_eq!(
                        open(id).1,
                        if may { 0 } else { connect_denied },
                        "{cell}: connect as {id}"
                    );
                    cells += 1;
                }
                let mut client = open("%u~1").0;
                for (filter, may) in SUBSCRIPTIONS {
                    let code = client.subscribe(&filter.replace("%u", user), 1).codes[0];
                    let expected = if may.contains(&who) { 1 } else { subscribe_denied };
                    assert_eq!(code, expected, "{cell}: subscribe to {filter}");
                    cells += 1;
                }
                client.unsubscribe("task/open/#");
                for (topic, may) in PUBLISHES {
                    let code = published(&mut client, &topic.replace("%u", user), !may.contains(&who));
                    // An ordinary topic to which nobody is subscribed is allowed, too.
                    let is_allowed = matches!(code, 0 | 0x10);
                    assert!(is_allowed || code == 0x87, "{cell}: publish to {topic}: {code:#x}");
                    assert_eq!(is_allowed, may.contains(&who), "{cell}: publish to {topic}: {code:#x}");
                    cells += 1;
                }
            }
        }
    }
    assert_eq!(cells, (7 * 4 + 2 * 2) * 2 * (5 + 12 + 10));
}
