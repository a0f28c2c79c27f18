use super::*;

const OWN: &str = "own-token-of-this-run";
const FILE: &str = "token-of-the-operator";

#[derive(Clone, Copy)]
struct Case<'c> {
    peer: &'c str,
    host: &'c str,
    origin: Option<&'c str>,
    fetch_site: Option<&'c str>,
    authorization: Option<&'c str>,
    has_file: bool,
    knows_users: bool,
    origins: &'c [&'c str],
}

const LOCAL: Case<'_> = Case {
    peer: "127.0.0.1",
    host: "127.0.0.1:8080",
    origin: None,
    fetch_site: None,
    authorization: None,
    has_file: false,
    knows_users: false,
    origins: &[],
};

fn judged(case: Case<'_>) -> Verdict {
    let (own, of_file) = (Token::of(OWN), Token::of(FILE));
    let pages = WebSocketRules {
        paths: Vec::new(),
        origins: case.origins.iter().map(|it| (*it).to_owned()).collect(),
        same_host: true,
    };
    let asked = Asked {
        peer: case.peer.parse().unwrap(),
        host: case.host,
        origin: case.origin,
        fetch_site: case.fetch_site,
        authorization: case.authorization,
    };
    let rules = Rules {
        own: &own,
        of_file: case.has_file.then_some(&of_file),
        knows_users: case.knows_users,
        pages: &pages,
    };
    judge(asked, rules)
}

#[test]
fn without_credentials_only_programs_of_this_machine_are_let_in() {
    // Goal: where nobody is known, loopback is let in under a name of this machine; other machines, names that anybody can let point to this
    // one, and requests without a name are not; where users or a token are known, nobody is.
    use NotAllowed::{Name, NotLocal, NothingShown};
    let refused = |case| match judged(case) {
        Verdict::Refuse(why) => Some(why),
        _ => None,
    };
    for (peer, host, why) in [
        ("127.0.0.1", "127.0.0.1:8080", None),
        ("127.0.0.1", "localhost:8080", None),
        ("::1", "[::1]:8080", None),
        ("::ffff:127.0.0.1", "localhost", None),
        ("127.0.0.1", "rebound.example:8080", Some(Name)),
        ("127.0.0.1", "localhost.rebound.example", Some(Name)),
        ("127.0.0.1", "", Some(Name)),
        ("192.0.2.1", "127.0.0.1:8080", Some(NotLocal)),
        ("192.0.2.1", "broker.example:8080", Some(NotLocal)),
    ] {
        assert_eq!(refused(Case { peer, host, ..LOCAL }), why, "{peer} {host}");
    }
    assert_eq!(
        refused(Case {
            knows_users: true,
            ..LOCAL
        }),
        Some(NothingShown)
    );
    assert_eq!(
        refused(Case {
            has_file: true,
            ..LOCAL
        }),
        Some(NothingShown)
    );
}

#[test]
fn tokens_let_in_from_anywhere_and_users_have_to_prove_it() {
    // Goal: the two tokens, under any name and from anywhere; anything else is for the authenticator where users are known, and refused where not.
    let far = Case {
        peer: "192.0.2.1",
        host: "broker.example",
        has_file: true,
        ..LOCAL
    };
    let with = |case: Case<'static>, shown: &str| {
        let shown = shown.to_owned();
        judged(Case {
            authorization: Some(&shown),
            ..case
        })
    };
    let refused = Verdict::Refuse(NotAllowed::Credentials);
    assert_eq!(with(far, &format!("Bearer {OWN}")), Verdict::LetIn(Who::Owner));
    assert_eq!(with(far, &format!("bearer  {FILE} ")), Verdict::LetIn(Who::Token));
    assert_eq!(
        with(Case { has_file: false, ..far }, &format!("Bearer {FILE}")),
        refused
    );
    for wrong in [
        "Bearer x",
        "Bearer",
        "Bearer ",
        OWN,
        "Digest x",
        "Basic ??",
        "Basic bm9jb2xvbg==",
        "Basic YWxpY2U6c2VjcmV0",
    ] {
        assert_eq!(with(far, wrong), refused, "{wrong}");
        assert_eq!(
            with(LOCAL, wrong),
            refused,
            "{wrong}: who shows something wrong is no stranger to be let in"
        );
    }
    let users = Case {
        knows_users: true,
        ..far
    };
    assert_eq!(
        with(users, "Bearer a.b.c"),
        Verdict::Prove(Proof::Token("a.b.c".into()))
    );
    assert_eq!(
        with(users, "Basic YWxpY2U6c2U6Y3JldA=="),
        Verdict::Prove(Proof::Password("alice".into(), (*b"se:cret").into()))
    );
    for wrong in ["Bearer ", "Basic bm9jb2xvbg==", "Basic gIA6eA==", "Digest x"] {
        assert_eq!(with(users, wrong), refused, "{wrong}");
    }
}

#[test]
fn pages_of_other_sites_are_not_let_in_whatever_they_show() {
    // Goal: CSRF: a page of this broker, or of a listed origin, may ask; any other may not, even with the right token, and also where the browser
    // tells only that the page is of another site.
    let with = |origin: Option<&'static str>, fetch_site, origins| {
        judged(Case {
            origin,
            fetch_site,
            origins,
            ..LOCAL
        })
    };
    let refused = Verdict::Refuse(NotAllowed::Page);
    let let_in = Verdict::LetIn(Who::Local);
    assert_eq!(with(Some("http://127.0.0.1:8080"), Some("same-origin"), &[]), let_in);
    assert_eq!(with(Some("http://evil.example"), Some("cross-site"), &[]), refused);
    assert_eq!(with(Some("null"), None, &[]), refused);
    assert_eq!(with(Some("http://127.0.0.1:9999"), Some("same-site"), &[]), refused);
    assert_eq!(with(None, Some("cross-site"), &[]), refused);
    assert_eq!(with(None, Some("none"), &[]), let_in);
    assert_eq!(
        with(
            Some("https://ops.example"),
            Some("cross-site"),
            &["https://ops.example"]
        ),
        let_in
    );
    assert_eq!(
        with(Some("http://127.0.0.1:8080"), None, &["https://ops.example"]),
        let_in,
        "its own pages beside those listed"
    );
    let token = format!("Bearer {OWN}");
    let evil = Case {
        origin: Some("http://evil.example"),
        authorization: Some(&token),
        ..LOCAL
    };
    assert_eq!(judged(evil), refused);
}
