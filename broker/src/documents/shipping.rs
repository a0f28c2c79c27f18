//! What is below `deploy/`, and `docker-compose.yml`: configurations that the broker takes, and files that agree with it and with each other.

use yaml_rust2::{Yaml, YamlLoader};

use super::page::{read, root};
use crate::access_rules;
use crate::config::{Config, HttpListen, Overrides};
use crate::exit::Exit;

/// The documents of a YAML file.
fn yaml(path: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What the broker makes of a configuration.
fn load(what: &str, text: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("inboxd.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(Some(&path), std::iter::empty(), &Overrides::default())
        .unwrap_or_else(|error| panic!("{what}: {error}"))
}

/// What the broker makes of access rules.
fn check_rules(what: &str, text: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("acl.toml");
    std::fs::write(&path, text).unwrap();
    let mut config = Config::default();
    config.access.acl_file = Some(path);
    access_rules::load(&config).unwrap_or_else(|error| panic!("{what}: {error}"));
}

/// The value of a key of a unit, and of all its lines of that name the last.
fn unit(key: &str) -> String {
    let text = read("deploy/systemd/inboxd.service");
    let mut lines = text.lines().rev();
    let found = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("the unit has no {key}")).to_owned()
}

#[test]
fn the_unit_starts_what_the_package_installs() {
    // Goal: paths, user and directories of unit, package and shipped configuration are the same; codes that need a person are codes of the program.
    let manifest = read("broker/Cargo.toml").parse::<toml::Table>().unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    let assets: Vec<(&str, &str)> = deb["assets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|asset| (asset[0].as_str().unwrap(), asset[1].as_str().unwrap()))
        .collect();
    for (source, _) in assets.iter().filter(|(source, _)| !source.contains("target/")) {
        let source = source.trim_start_matches("../").trim_end_matches("/*.md");
        assert!(root().join(source).exists(), "the package has no {source}");
    }
    assert!(assets.contains(&("target/release/inboxd", "usr/bin/")));
    assert!(assets.contains(&("../deploy/debian/inboxd.toml", "etc/inboxd/")));
    assert_eq!(
        unit("ExecStart"),
        "/usr/bin/inboxd serve --config /etc/inboxd/inboxd.toml"
    );
    assert!(read("deploy/debian/sysusers.d/inboxd.conf").contains(&format!("u {} ", unit("User"))));

    let config = load("deploy/debian/inboxd.toml", &read("deploy/debian/inboxd.toml"));
    assert_eq!(
        config.data_dir,
        std::path::Path::new("/var/lib").join(unit("StateDirectory"))
    );
    assert!(config.listener.listen.ip().is_loopback());
    let stop: u64 = unit("TimeoutStopSec").parse().unwrap();
    assert!(stop > config.shutdown_timeout.as_secs());
    let files: usize = unit("LimitNOFILE").parse().unwrap();
    assert!(files > config.listener.connections_max);
    for code in unit("RestartPreventExitStatus").split(' ') {
        let code: u8 = code.parse().unwrap();
        assert!(code == 2 || Exit::ALL.iter().any(|exit| exit.code() == code), "{code}");
    }
    assert_eq!(unit("Type"), "notify");
}

#[test]
fn the_manifests_of_kubernetes_fit_together() {
    // Goal: the StatefulSet starts the configuration of the ConfigMap, is probed where the broker answers, and gets no variables of a Service.
    let all = yaml("deploy/kubernetes/inboxd.yaml");
    let of = |kind: &str| {
        all.iter()
            .find(|document| document["kind"].as_str() == Some(kind))
            .unwrap()
    };
    let pod = &of("StatefulSet")["spec"]["template"]["spec"];
    assert_eq!(pod["enableServiceLinks"], Yaml::Boolean(false));
    assert_eq!(of("StatefulSet")["spec"]["replicas"], Yaml::Integer(1));
    assert_eq!(pod["securityContext"]["runAsNonRoot"], Yaml::Boolean(true));
    let container = &pod["containers"][0];
    assert_eq!(container["args"][2].as_str(), Some("/etc/inboxd/inboxd.toml"));
    assert_eq!(
        container["securityContext"]["readOnlyRootFilesystem"],
        Yaml::Boolean(true)
    );
    for (probe, path) in [
        ("startupProbe", "/readyz"),
        ("readinessProbe", "/readyz"),
        ("livenessProbe", "/healthz"),
    ] {
        let asked = &container[probe]["httpGet"];
        assert_eq!(
            (asked["path"].as_str(), asked["port"].as_str()),
            (Some(path), Some("http"))
        );
    }
    // Each port of the Service leads to one of the container.
    let ports: Vec<_> = container["ports"]
        .as_vec()
        .unwrap()
        .iter()
        .map(|port| &port["name"])
        .collect();
    for port in of("Service")["spec"]["ports"].as_vec().unwrap() {
        assert!(ports.contains(&&port["targetPort"]), "{port:?}");
    }
    for mount in container["volumeMounts"].as_vec().unwrap() {
        let volumes = pod["volumes"].as_vec().unwrap().iter().map(|volume| &volume["name"]);
        let claims = of("StatefulSet")["spec"]["volumeClaimTemplates"].as_vec().unwrap();
        let mut names = volumes.chain(claims.iter().map(|claim| &claim["metadata"]["name"]));
        assert!(names.any(|name| *name == mount["name"]), "{mount:?}");
    }
    let files = &of("ConfigMap")["data"];
    check_rules("the rules of Kubernetes", files["acl.toml"].as_str().unwrap());
    let config = load("the ConfigMap", files["inboxd.toml"].as_str().unwrap());
    assert!(config.auth.knows_users() && config.http.listen != HttpListen::Auto);
    let environment = container["env"].as_vec().unwrap().iter();
    assert!(
        environment
            .map(|variable| &variable["name"])
            .all(|name| name.as_str() == Some("INBOXD_DATA_DIR"))
    );
}

#[test]
fn compose_publishes_on_this_machine_alone() {
    // Goal: the passwords in deploy/compose are known to everybody, so nothing is published elsewhere; the users and rules are ones that can be used.
    let compose = &yaml("docker-compose.yml")[0];
    let services = compose["services"].as_hash().unwrap();
    let mut published = 0;
    for (name, service) in services {
        for port in service["ports"].as_vec().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name:?}: {port:?}");
            published += 1;
        }
    }
    assert_eq!(published, 4);
    check_rules("deploy/compose/acl.toml", &read("deploy/compose/acl.toml"));
    let users = access::Passwords::load(&root().join("deploy/compose/users"), 1, std::time::Duration::ZERO);
    assert!(users.is_ok());
    let config = load("deploy/compose/inboxd.toml", &read("deploy/compose/inboxd.toml"));
    assert!(config.auth.knows_users() && !config.listener.allow_anonymous);
    assert_eq!(config.http.listen, HttpListen::At("0.0.0.0:8080".parse().unwrap()));
}
