//! The page in the place of the dashboard: live figures, and how to get the dashboard. It works without JavaScript.

use std::fmt::Write;

use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse, Response};

use super::assets;
use super::site::Site;

/// Where it is, also when there is a dashboard.
pub(super) const PATH: &str = "/figures";
/// Where its style is.
pub(super) const STYLE_PATH: &str = "/page.css";
const STYLE: &str = include_str!("page.css");
const BUILT: &str = "<section>\n<h2>This page works without JavaScript</h2>\n<p>There is more on the <a href=\"/\">dashboard</a>.</p>\n</section>\n";
const NOT_BUILT: &str = "<section>\n<h2>The dashboard is not built in</h2>\n<p>Build it, and the broker with it, in the source directory:</p>\n\
                         <pre><code>cargo xtask dashboard</code></pre>\n</section>\n";
const END: &str = "<nav>\n<a href=\"/readyz\">Readiness</a>\n<a href=\"/metrics\">Metrics</a>\n<a href=\"/api/v1/openapi.json\">API</a>\n</nav>\n\
                   </main>\n</body>\n</html>\n";
/// How often browsers get it again, in seconds.
const REFRESH_S: u32 = 5;

pub(super) async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// The page as it is now.
pub(super) fn index(site: &Site) -> Response {
    let not_ready = site.not_ready();
    let (mood, state) = match not_ready {
        None => ("good", "Ready: the broker takes messages.".to_owned()),
        Some(why) => ("bad", format!("Not ready: {}.", why.sentence())),
    };
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"refresh\" content=\"{REFRESH_S}\">\n<title>inboxd</title>\n\
         <link rel=\"stylesheet\" href=\"{STYLE_PATH}\">\n</head>\n<body>\n<main>\n<header>\n<h1>inboxd</h1>\n\
         <p class=\"version\">version {}, up for {}</p>\n</header>\n<p class=\"state {mood}\" role=\"status\">{}</p>\n",
        escaped(site.settings.version),
        for_people(site.uptime().as_secs()),
        escaped(&state),
    );
    text.push_str("<dl class=\"figures\">\n");
    for (name, value) in figures(site) {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "<div><dt>{}</dt><dd>{}</dd></div>",
            escaped(name),
            escaped(&value)
        );
    }
    text.push_str("</dl>\n");
    text.push_str(if assets::are_any() { BUILT } else { NOT_BUILT });
    text.push_str(END);
    Html(text).into_response()
}

/// What is worth a look, if there is a broker yet.
fn figures(site: &Site) -> Vec<(&'static str, String)> {
    let Some(live) = site.live() else { return Vec::new() };
    let numbers = live.figures.numbers();
    let number = |name: &str| {
        numbers
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(0, |(_, number)| *number)
    };
    let used = format!("{} of {}", bytes(number("memory_used")), bytes(number("memory_limit")));
    vec![
        ("Connected clients", grouped(number("connections"))),
        ("Messages accepted", grouped(number("accepted"))),
        ("Messages delivered", grouped(number("delivered"))),
        ("Messages acknowledged", grouped(number("acknowledged"))),
        ("Publishes refused", grouped(number("publishes_refused"))),
        ("Connects refused", grouped(number("connects_refused"))),
        ("Memory for clients", used),
        ("Commits", grouped(number("commits"))),
    ]
}

/// With a thin space between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

fn bytes(number: u64) -> String {
    let mut scaled = number as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if scaled < 1024.0 {
            break;
        }
        (scaled, unit) = (scaled / 1024.0, larger);
    }
    let digits = usize::from(unit != "B" && scaled < 100.0);
    format!("{scaled:.digits$} {unit}")
}

fn for_people(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        // Goal: digits in groups, bytes with a unit, times in two steps, and nothing that a browser takes for a tag.
        assert_eq!(
            (grouped(7), grouped(1_234_567)),
            ("7".to_owned(), "1\u{2009}234\u{2009}567".to_owned())
        );
        assert_eq!(
            (bytes(1000), bytes(1536), bytes(3 << 30)),
            ("1000 B".to_owned(), "1.5 KiB".to_owned(), "3.0 GiB".to_owned())
        );
        assert_eq!(
            (for_people(59), for_people(3700), for_people(90_000)),
            ("59 s".into(), "1 h 1 min".into(), "1 d 1 h".into())
        );
        assert_eq!(escaped("<a href='\"&'>"), "&lt;a href=&#39;&quot;&amp;&#39;&gt;");
    }
}
