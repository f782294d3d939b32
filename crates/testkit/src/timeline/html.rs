//! A timeline as one HTML page.

use super::Timeline;

/// The page without its data.
const TEMPLATE: &str = include_str!("template.html");

/// Where the timeline goes, as JSON.
const DATA_MARK: &str = "{{timeline}}";

/// Where the plain text goes, for readers without scripts.
const TEXT_MARK: &str = "{{text}}";

/// Where the title goes.
const TITLE_MARK: &str = "{{title}}";

/// The page: the template, with the data where its marks are.
pub(super) fn render(timeline: &Timeline) -> String {
    let data = serde_json::to_string(timeline).expect("texts and numbers always make JSON");
    let checker = timeline.violation.as_ref().map_or("no violation", |broken| &broken.checker);
    let title = format!("Quorate simulation, seed {}: {checker}", timeline.seed);
    // The data come last: they may contain what looks like a mark.
    let (before, after) = TEMPLATE.split_once(DATA_MARK).expect("the template has this mark");
    let fill = |part: &str| {
        part.replace(TITLE_MARK, &escape_text(&title))
            .replace(TEXT_MARK, &escape_text(&timeline.to_text()))
    };
    format!("{}{}{}", fill(before), escape_json(&data), fill(after))
}

/// Text that means itself within HTML.
fn escape_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// JSON that cannot end the element it stands in: outside of strings it has none of these.
fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::{Broken, CallSpan, Outcome};
    use super::*;

    #[test]
    fn values_cannot_break_out_of_the_page() {
        let evil = "</script><script>alert(1)</script><b a='x' b=\"y\">&amp;{{text}}\u{2028}";
        let call = CallSpan {
            member: 1,
            from: 0,
            to: None,
            outcome: Outcome::Open,
            request: evil.to_owned(),
            result: evil.to_owned(),
            involved: true,
        };
        let violation =
            Broken { at: 1, checker: "{{timeline}}<i>".to_owned(), detail: evil.to_owned() };
        let timeline = Timeline {
            calls: vec![call],
            violation: Some(violation),
            members: 1,
            ..Timeline::default()
        };
        let page = render(&timeline);
        assert!(
            !page.contains("<script>alert") && !page.contains("<b a=") && !page.contains("<i>")
        );
        assert_eq!(page.matches("</script>").count(), TEMPLATE.matches("</script>").count());
        // What is embedded is still the timeline.
        let start = page.find("id=\"timeline\">").expect("the data") + "id=\"timeline\">".len();
        let end = start + page[start..].find("</script>").expect("the end of the data");
        let read: Timeline = serde_json::from_str(&page[start..end]).expect("JSON");
        assert_eq!(read, timeline);
    }

    #[test]
    fn the_template_needs_nothing_from_elsewhere() {
        for mark in [DATA_MARK, TEXT_MARK] {
            assert_eq!(TEMPLATE.matches(mark).count(), 1, "{mark}");
        }
        for foreign in ["http:", "https:", "src=", "href=", "@import", "url("] {
            assert!(!TEMPLATE.contains(foreign), "{foreign}");
        }
        assert!(TEMPLATE.contains("<noscript>"));
    }
}
