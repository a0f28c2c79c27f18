//! Where it listens, health, and `inboxd health`.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use inbox_test_support::net::free_ports;
use inbox_test_support::websocket::REQUEST;
use inbox_tests::{
    Broker, BrokerOptions, ClosedPort, Running, head, inboxd_command, run, run_inboxd, succeeds, wait_for,
};

use super::{ask_with, exchange, get};
use crate::transports::websocket::frame;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_broker_that_runs_is_found_and_well() {
    // Goal: both health checks, `inboxd health` by the file in the data directory and by URL; the file is for its owner alone and gone with the
    // broker; without a broker, although another one
    // runs, or with something else, the command ends with 1 and says so.
    let mut broker = Broker::start();
    assert_eq!(get(&broker, "/healthz").status, 200);
    assert_eq!(get(&broker, "/readyz").body, "{\"ready\":true}");
    let file = broker.data().join("running.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let well = broker.run_on_data(&["health"]);
    assert!(
        well.status.success() && text(&well.stdout).starts_with("ready: "),
        "{well:?}"
    );
    let url = format!("http://127.0.0.1:{}", broker.port_of("http"));
    assert!(run_inboxd(&["health", "--server", &url]).status.success());
    let mqtt = format!("http://127.0.0.1:{}", broker.port());
    for (server, sentence) in [
        (mqtt.as_str(), "not HTTP"),
        ("https://127.0.0.1", "like http://"),
        ("127.0.0.1:8080", "like http://"),
    ] {
        let output = run_inboxd(&["health", "--server", server]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains(sentence), "{output:?}");
    }
    assert_eq!(broker.terminate().code, Some(0));
    assert!(!file.exists());
    let other = Broker::start();
    let none = broker.run_on_data(&["health"]);
    assert_eq!((none.status.code(), text(&none.stdout).as_str()), (Some(1), ""));
    assert!(text(&none.stderr).contains("no broker runs on "), "{none:?}");
    drop(other);
    let gone = run_inboxd(&["health", "--server", &ClosedPort::new().url()]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(text(&gone.stderr).contains("no broker answers"), "{gone:?}");
}

#[test]
fn the_default_address_gives_way_and_a_set_one_does_not() {
    // Goal: two brokers with the defaults run side by side; an address that was set and is in use ends with 69, and a message that names it.
    let (one, other) = (Broker::start(), Broker::start());
    assert_ne!(one.port_of("http"), other.port_of("http"));
    assert_eq!(get(&other, "/readyz").status, 200);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = tempfile::tempdir().unwrap();
    let config = data.path().join("inboxd.toml");
    fs::write(&config, format!("[http]\nlisten = \"{address}\"\n")).unwrap();
    let store = data.path().join("data");
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--config",
        config.to_str().unwrap(),
        "--data",
        store.to_str().unwrap(),
    ];
    let output = run_inboxd(&args);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(text(&output.stderr).contains(&address), "{output:?}");
    assert!(!store.exists(), "nothing was made");
}

#[test]
fn a_broker_that_still_reads_its_store_says_so() {
    // Goal: the port is open before the store is: the process is alive, not ready, and says why, to `inboxd health`, too. A store whose first file
    // gives nothing keeps it there.
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    fs::create_dir(&data).unwrap();
    succeeds(&run(Command::new("mkfifo").arg(data.join("inboxd-store.toml"))));
    // It has to be known before the broker is ready to say it.
    let [port] = free_ports().unwrap();
    let address = format!("127.0.0.1:{port}");
    let mut command = inboxd_command();
    command.args(["--listen", "127.0.0.1:0", "--data"]).arg(&data);
    command.env("INBOXD_HTTP__LISTEN", &address);
    let mut broker = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
    let socket = wait_for("the HTTP port", || {
        assert_eq!(broker.ended(), None, "it ended by itself");
        TcpStream::connect(&address).ok()
    });
    let answer = exchange(socket, b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let health = run_inboxd(&["health", "--server", &format!("http://{address}")]);
    drop(broker);
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"reason\":\"recovering\""),
        "{answer}"
    );
    assert_eq!(health.status.code(), Some(1));
    assert!(
        text(&health.stderr).contains("not ready: the broker starts"),
        "{health:?}"
    );
}

#[test]
fn parts_are_moved_and_turned_off() {
    // Goal: a part with an address of its own is there and nowhere else, with the health checks; one that is off is nowhere; without any HTTP the
    // broker serves all the same, and `inboxd health` cannot find it.
    let broker = Broker::with_config("[http]\nlisten = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\napi = \"off\"\n");
    let on_metrics = |path: &str| ask_with(&broker, "http-metrics", &format!("GET {path}"), "Host: x\r\n").status;
    assert_eq!(
        (on_metrics("/metrics"), on_metrics("/readyz"), on_metrics("/")),
        (200, 200, 404)
    );
    assert_eq!((get(&broker, "/metrics").status, get(&broker, "/").status), (404, 200));
    assert_eq!(get(&broker, "/api/v1/openapi.json").status, 404);

    let mut silent = Broker::start_with(BrokerOptions {
        env: vec![("INBOXD_HTTP__LISTEN".into(), "off".into())],
        ..BrokerOptions::default()
    });
    assert_eq!(
        silent.stdout(),
        [format!("inboxd ready mqtt=127.0.0.1:{}", silent.port())]
    );
    assert!(!silent.data().join("running.json").exists());
    assert_eq!(silent.terminate().code, Some(0));
}

#[test]
fn pages_are_safe_to_look_at() {
    // Goal: the headers that keep pages from loading, framing, sniffing and telling; no script and no style inside the page.
    let broker = Broker::start();
    assert_eq!(get(&broker, "/").status, 200);
    let page = get(&broker, "/figures");
    assert_eq!(page.status, 200);
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self'",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "content-type: text/html; charset=utf-8",
    ] {
        assert!(page.head.contains(header), "{header}: {}", page.head);
    }
    assert!(!page.head.contains("unsafe-inline") && !page.body.contains("<script") && !page.body.contains("style="));
    let style = get(&broker, "/page.css");
    assert!(
        style.status == 200 && style.head.contains("content-type: text/css"),
        "{style:?}"
    );
    let told: serde_json::Value = serde_json::from_str(&get(&broker, "/dashboard.json").body).unwrap();
    assert_eq!(
        (&told["mqtt_path"], &told["anonymous"]),
        (&"/mqtt".into(), &true.into())
    );
}

#[test]
fn a_shutdown_waits_for_nobody() {
    // Goal: idle connections, half a request and a browser's MQTT do not hold an orderly end up; the MQTT client is told that the broker shuts down.
    // A broker that waited for them would end after ten seconds each time; one that is slow itself is not so three times.
    assert!((0..3).any(|_| shutdown_took() < Duration::from_secs(8)));
}

/// How long a broker took to end that has such clients.
fn shutdown_took() -> Duration {
    let mut broker = Broker::start();
    let mut idle = broker.socket("http");
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let mut half = broker.socket("http");
    half.write_all(b"GET /healthz HTTP/1.1\r\nHo").unwrap();
    let mut browser = broker.socket("http");
    browser.write_all(REQUEST.as_bytes()).unwrap();
    assert!(head(&mut browser).starts_with("HTTP/1.1 101 "));
    browser
        .write_all(&frame(0x82, b"\x10\x10\0\x04MQTT\x05\x02\0\0\0\0\x03ann"))
        .unwrap();
    let mut connack = [0; 3];
    browser.read_exact(&mut connack).unwrap();
    assert_eq!((connack[0], connack[2]), (0x82, 0x20));
    let began = Instant::now();
    assert_eq!(broker.terminate().code, Some(0));
    let took = began.elapsed();
    let mut told = Vec::new();
    browser.read_to_end(&mut told).unwrap();
    // DISCONNECT with reason code 0x8B (MQTT 5, section 3.14).
    assert!(
        told.windows(3).any(|packet| packet[0] == 0xE0 && packet[2] == 0x8B),
        "{told:?}"
    );
    took
}
