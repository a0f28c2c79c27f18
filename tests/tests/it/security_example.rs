//! "A complete example" of docs/security.md, typed as it is printed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use inbox_tests::{Broker, inboxd_command};

use crate::first_configuration::on_free_ports;

const PAGE: &str = include_str!("../../../docs/security.md");

/// The blocks of the section in this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let section = PAGE
        .split("\n## ")
        .find(|section| section.starts_with("A complete example"))
        .unwrap();
    let opening = format!("```{language}\n");
    section
        .split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

/// What a shell answers to the lines of these blocks that are typed, and what the page says that it does.
fn typed(blocks: &[&str], directory: &Path, tls: &str) -> (String, String) {
    let mut script = String::from("shopt -s expand_aliases\nexec 2>&1\n");
    let mut expected = String::new();
    for line in blocks.iter().flat_map(|block| block.lines()) {
        match line.strip_prefix("$ ") {
            Some(command) => script.push_str(&format!("{}\n", command.replace("-p 8883", &format!("-p {tls}")))),
            None => expected.push_str(&format!("{line}\n")),
        }
    }
    let inboxd = inboxd_command();
    let beside = Path::new(inboxd.get_program()).parent().unwrap().to_owned();
    let path = format!("{}:{}", beside.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    let output = bash
        .arg("-c")
        .arg(script)
        .current_dir(directory)
        .env("PATH", path)
        .stdin(Stdio::null())
        .output();
    (String::from_utf8(output.unwrap().stdout).unwrap(), expected)
}

#[test]
fn the_complete_example_works_as_printed() {
    // Goal: every command of the section gives the answers that are printed there. Ports are free ones, and the broker is started by the test.
    let directory = tempfile::tempdir().unwrap();
    let in_example = |name: &str| directory.path().join("example").join(name);
    let [before, questions, start, mail] = blocks("console")[..] else {
        panic!("the section has other blocks");
    };
    let (said, expected) = typed(&[before], directory.path(), "");
    assert_eq!(said, expected);
    let [rules] = blocks("toml")[..] else {
        panic!("the section has other rules");
    };
    fs::write(in_example("acl.toml"), rules).unwrap();
    let (said, expected) = typed(&[questions], directory.path(), "");
    assert_eq!(said, expected);
    assert_eq!(start, "$ inboxd --config example/inboxd.toml\n");
    let config = fs::read_to_string(in_example("inboxd.toml")).unwrap();
    let broker = Broker::with_config(&on_free_ports(&config));
    let (said, expected) = typed(&[mail], directory.path(), &broker.port_of("mqtts").to_string());
    assert_eq!(said, expected);
}
