//! A page in a real browser, with the bundle of MQTT.js for browsers.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use inbox_tests::tools::{chromium, mosquitto_pub, mqttjs_for_browsers};
use inbox_tests::{Answer, Broker, Connect, HttpService, RawClient, Version, wait_until};

use sha2::{Digest, Sha256};

use super::{Files, tls_listener};
use crate::authentication::passwd;

/// A page that reads the inbox of ann, answers bob, and shows what came; or what hindered it. The browser takes it for loaded when its
/// picture is there, and the server keeps that back until the page says that there is no more to show.
const PAGE: &str = r#"<!doctype html>
<title>The inbox of ann</title>
<style>body { font: 20px sans-serif; margin: 2em } #state { color: gray }</style>
<h1>The inbox of ann</h1>
<ul id="inbox"></ul>
<p id="state">connecting</p>
<img src="/loaded" alt="">
<script src="/mqtt.js"></script>
<script>
  const state = (text) => { document.getElementById("state").textContent = text; };
  const finished = () => fetch("/finished", { method: "POST" });
  const client = mqtt.connect("BROKER", {
    clientId: "ann~page", username: "ann", password: "s3cret", protocolVersion: VERSION, clean: true, reconnectPeriod: 0,
  });
  let isConnected = false;
  client.on("connect", () => { isConnected = true; client.subscribe("ann~page", { qos: 1 }); });
  client.on("error", (error) => state(`error: ${error.message}`));
  client.on("close", () => { if (!isConnected) { state("refused"); finished(); } });
  client.on("message", async (topic, payload) => {
    const line = document.createElement("li");
    line.textContent = `${topic}: ${payload}`;
    const inbox = document.getElementById("inbox");
    inbox.append(line);
    if (inbox.children.length === 3) {
      await client.publishAsync("bob", "read in a browser", { qos: 1 });
      state("read");
      finished();
    }
  });
</script>
"#;

/// A site with [`PAGE`], which speaks this version with the broker at this URL.
fn site(version: &'static str, broker: Arc<OnceLock<String>>) -> HttpService {
    let bundle = mqttjs_for_browsers();
    let is_finished = AtomicBool::new(false);
    HttpService::start(move |asked| match asked.path.as_str() {
        "/" => {
            let page = PAGE
                .replace("BROKER", broker.get().unwrap())
                .replace("VERSION", version);
            Answer::Says("200 OK", "text/html; charset=utf-8", page.into())
        }
        "/mqtt.js" => Answer::Says("200 OK", "text/javascript", bundle.clone()),
        "/finished" => {
            is_finished.store(true, Ordering::SeqCst);
            Answer::Says("204 No Content", "text/plain", Vec::new())
        }
        "/loaded" => {
            wait_until("the page says that there is no more to show", || {
                is_finished.load(Ordering::SeqCst)
            });
            Answer::Says("204 No Content", "text/plain", Vec::new())
        }
        _ => Answer::Says("404 Not Found", "text/plain", Vec::new()),
    })
}

#[test]
fn a_page_in_chromium_reads_its_inbox_over_wss() {
    // Goal: mail that waits for a user of the password file is read by a page in Chromium with MQTT.js over wss, in both versions, and what the page writes
    // arrives; the browser accepts the certificate because it is told of its key. The same page from another site is refused where `origins` are listed.
    let files = Files::of_a_broker();
    let signed = files.authority.broker();
    files.write("", &signed);
    let users = files.path("users");
    for user in ["ann", "bob"] {
        assert!(passwd(&users, &[user], "s3cret\n").status.success());
    }
    let url = Arc::new(OnceLock::new());
    let [own, older, foreign] = ["5", "4", "5"].map(|version| site(version, url.clone()));
    let origins = [own.url(""), older.url("")];
    let listener = tls_listener(&files, "wss", &format!("origins = {origins:?}"));
    let broker = Broker::with_config(&format!("{listener}[auth]\npassword_file = {users:?}\n"));
    url.set(format!("wss://127.0.0.1:{}/mqtt", broker.port_of("wss")))
        .unwrap();
    let mut bob = RawClient::connect(&broker, &Connect::new(Version::V5, "bob").login("bob", "s3cret")).0;
    assert_eq!(bob.subscribe("bob", 1).codes, [1]);

    let trusted = STANDARD.encode(Sha256::digest(&signed.public_key));
    for (site, picture) in [(&own, "inbox-mqtt-5.png"), (&older, "inbox-mqtt-3.png")] {
        for text in ["hello", "ünïcode", "<b>bold</b>"] {
            let bob = ["-i", "bob~shell", "-u", "bob", "-P", "s3cret"];
            mosquitto_pub(
                &broker,
                &[&bob[..], &["-q", "1", "-t", "ann~page", "-m", text]].concat(),
            );
        }
        let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join(picture);
        let shown = chromium(&site.url("/"), &trusted, &picture);
        for line in [
            "ann~page: hello",
            "ann~page: ünïcode",
            "ann~page: &lt;b&gt;bold&lt;/b&gt;",
        ] {
            assert!(
                shown.contains(&format!("<li>{line}</li>")),
                "{line:?} is missing: {shown}"
            );
        }
        assert!(shown.contains("<p id=\"state\">read</p>"), "{shown}");
        assert!(fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
        assert_eq!(bob.receive_and_ack().payload, b"read in a browser");
    }

    let shown = chromium(&foreign.url("/"), &trusted, &files.path("foreign.png"));
    assert!(
        shown.contains("<p id=\"state\">refused</p>") && !shown.contains("<li>"),
        "{shown}"
    );
    broker.wait_for_log("cause=connect_origin");
    assert!(!broker.stderr().contains("s3cret"), "no password is in the log");
}
