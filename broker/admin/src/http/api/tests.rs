use std::collections::BTreeSet;

use axum::http::{Method as HttpMethod, Request as AnyRequest};
use serde_json::json;

use super::table::Method;
use super::*;

/// The requests that the API has, with an example of each: method, path, command, parameters.
const WANTED: [(&str, &str, &str, &str); 16] = [
    (
        "GET",
        "/api/v1/inboxes?after=a&limit=2&prefix=b",
        "inbox/list",
        r#"{"after":"a","limit":2,"prefix":"b"}"#,
    ),
    ("GET", "/api/v1/inboxes/bob", "inbox/show", r#"{"client":"bob"}"#),
    (
        "GET",
        "/api/v1/inboxes/b%2Fb%20%F0%9F%92%A9/messages?after=7&payload_bytes_max=0",
        "inbox/peek",
        r#"{"after":7,"client":"b/b 💩","payload_bytes_max":0}"#,
    ),
    (
        "DELETE",
        "/api/v1/inboxes/bob/messages?up_to=9007199254740991",
        "inbox/purge",
        r#"{"client":"bob","up_to":9007199254740991}"#,
    ),
    (
        "GET",
        "/api/v1/inboxes/bob/export?limit=3",
        "inbox/export",
        r#"{"client":"bob","limit":3}"#,
    ),
    (
        "DELETE",
        "/api/v1/clients/bob/data",
        "client/erase",
        r#"{"client":"bob"}"#,
    ),
    ("GET", "/api/v1/clients", "client/list", "{}"),
    ("GET", "/api/v1/clients/bob", "client/show", r#"{"client":"bob"}"#),
    (
        "DELETE",
        "/api/v1/clients/bob/connection",
        "client/disconnect",
        r#"{"client":"bob"}"#,
    ),
    (
        "GET",
        "/api/v1/sessions?after=a&limit=2",
        "session/list",
        r#"{"after":"a","limit":2}"#,
    ),
    (
        "GET",
        "/api/v1/sessions/b%2Fb?after=7&limit=3",
        "session/show",
        r#"{"after":7,"client":"b/b","limit":3}"#,
    ),
    ("DELETE", "/api/v1/sessions/bob", "session/end", r#"{"client":"bob"}"#),
    ("GET", "/api/v1/overview", "overview", "{}"),
    ("GET", "/api/v1/top", "top", "{}"),
    ("GET", "/api/v1/backup", "backup", "{}"),
    (
        "POST",
        "/api/v1/trace",
        "trace/start",
        r#"{"from":"alice","seconds":5}"#,
    ),
];

fn method(route: &Route) -> &'static str {
    match route.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Delete => "DELETE",
    }
}

/// A path with names where it has values, as in the table.
fn matches(route: &Route, path: &str) -> bool {
    let (mut wanted, mut given) = (route.path.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given || wanted.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[test]
fn the_table_has_every_request() {
    // Goal: names and paths are those that the requests over MQTT and the dashboard go by.
    let listed: BTreeSet<_> = ROUTES.iter().map(|route| (method(route), route.command)).collect();
    let wanted: BTreeSet<_> = WANTED
        .iter()
        .map(|(method, _, command, _)| (*method, *command))
        .collect();
    assert_eq!(listed, wanted);
    for (verb, path, command, _) in WANTED {
        let path = path.split('?').next().unwrap();
        assert!(
            ROUTES
                .iter()
                .any(|route| matches(route, path) && method(route) == verb && route.command == command),
            "{path}"
        );
    }
    for route in ROUTES.iter().filter(|route| route.method == Method::Delete) {
        assert!(route.changes, "{}", route.command);
    }
}

#[test]
fn routes_and_document_agree() {
    // Goal: the document has every path with its method and parameters, and nothing else.
    let document: Value = serde_json::from_str(&openapi::document("1.2.3").to_json().unwrap()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(document["info"]["version"], "1.2.3");
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap() {
            let verb = verb.to_uppercase();
            let route = ROUTES.iter().find(|route| route.path == path && method(route) == verb);
            let route = route.unwrap_or_else(|| panic!("{verb} {path} is no route"));
            let mut names: BTreeSet<String> = BTreeSet::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                names.insert(parameter["name"].as_str().unwrap().to_owned());
                assert_eq!(parameter["required"], parameter["in"] == "path", "{parameter}");
            }
            let body = &operation["requestBody"]["content"]["application/json"]["schema"]["properties"];
            names.extend(body.as_object().into_iter().flatten().map(|(name, _)| name.clone()));
            let known: BTreeSet<String> = route
                .parameters
                .iter()
                .map(|parameter| parameter.name.to_owned())
                .collect();
            assert_eq!(names, known, "{path}");
            assert!(
                operation["responses"]["200"]["description"]
                    .as_str()
                    .unwrap()
                    .contains(route.result)
            );
            documented.insert((verb, path.clone()));
        }
    }
    assert_eq!(documented.len(), ROUTES.len());
}

async fn read(
    route: &'static Route,
    path: &[(&str, &str)],
    query: &str,
    kind: &str,
    body: &str,
) -> Result<Value, ApiError> {
    let request = AnyRequest::builder()
        .method(HttpMethod::GET)
        .uri(format!("/?{query}"))
        .header(CONTENT_TYPE, kind);
    let request = request.body(body.to_owned().into()).unwrap();
    let path = path
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    parameters::read(route, path, request).await.map(Value::Object)
}

#[tokio::test]
async fn parameters_are_what_the_table_says() {
    // Goal: numbers are numbers within their bounds, whether from the query or from JSON; what nobody knows, what is there twice, and bodies that
    // are none, too long, or of a type that other sites can send, are refused with a sentence.
    let find = |command: &str| ROUTES.iter().find(|route| route.command == command).unwrap();
    let (list, trace) = (find("inbox/list"), find("trace/start"));
    let json = "application/json; charset=utf-8";
    assert_eq!(
        read(list, &[], "limit=1000&prefix=%00%22", json, "").await.unwrap(),
        json!({"limit": 1000, "prefix": "\0\""})
    );
    for (query, sentence) in [
        ("limit=0", "from 1 to 1000"),
        ("limit=1001", "from 1 to 1000"),
        ("limit=-1", "from 1 to 1000"),
        ("limit=1e2", "from 1 to 1000"),
        ("limit=", "from 1 to 1000"),
        ("nothing=1", "it has after, limit, prefix"),
        ("after=a&after=b", "twice"),
    ] {
        let error = read(list, &[], query, json, "").await.unwrap_err();
        assert!(
            error.code == Code::BadRequest && error.message.contains(sentence),
            "{query}: {error}"
        );
    }
    let twice = read(find("inbox/show"), &[("client", "bob")], "client=carol", json, "")
        .await
        .unwrap_err();
    assert!(twice.message.contains("twice"), "{twice}");
    let body = r#"{"from":"alice","seconds":5}"#;
    assert_eq!(
        read(trace, &[], "", json, body).await.unwrap(),
        json!({"from": "alice", "seconds": 5})
    );
    assert_eq!(read(trace, &[], "to=bob", "", "").await.unwrap(), json!({"to": "bob"}));
    for (kind, body, sentence) in [
        ("text/plain", body, "application/json"),
        (json, "[]", "JSON object"),
        (json, "{\"from\":1}", "from is text"),
        (json, "{\"seconds\":601}", "from 1 to 600"),
        (json, &"x".repeat(20_000), "longer than"),
    ] {
        let error = read(trace, &[], "", kind, body).await.unwrap_err();
        assert!(error.message.contains(sentence), "{body:.20}: {error}");
    }
}
