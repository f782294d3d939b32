//! Values of the simulator in words.

/// What a value prints for debugging, as words: `CrashAt { step: LogSynced }` becomes
/// `crash at: step log synced`. It serves every kind of value, those of later versions too.
///
/// Members have places from 0 inside and numbers from 1 for people; `places` are the names of
/// fields that hold places, `Member(0)` is one always.
pub(super) fn plain(debug: &str, places: &[&str]) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut rest = debug;
    while let Some(first) = rest.chars().next() {
        let (token, after) = split_token(rest, first);
        rest = after;
        if first.is_alphabetic() {
            words.push(lower(token));
        } else if first.is_ascii_digit() || (first == '-' && token.len() > 1) {
            let place = words.last().is_some_and(|word| is_place(word, places));
            words.push(if place { one_more(token) } else { short_duration(token) });
        } else if first == '"' {
            words.push(token.to_owned());
        }
    }
    drop_noise(&words).join(" ")
}

/// Splits off the first token: a word, a number with its unit, a quoted text, or one character.
fn split_token(text: &str, first: char) -> (&str, &str) {
    let end = if first.is_alphabetic() {
        text.find(|c: char| !c.is_alphanumeric() && c != '_')
    } else if first.is_ascii_digit() || first == '-' {
        let digits = text.char_indices().skip(1);
        let mut end = digits.filter(|(_, c)| !c.is_alphanumeric() && *c != '.');
        end.next().map(|(place, _)| place)
    } else if first == '"' {
        quoted_end(text)
    } else {
        Some(first.len_utf8())
    };
    text.split_at(end.unwrap_or(text.len()))
}

fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (place, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return Some(place + 1),
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}

fn is_place(word: &str, places: &[&str]) -> bool {
    word == "member" || places.contains(&word)
}

fn one_more(token: &str) -> String {
    token.parse::<u64>().map_or_else(|_| token.to_owned(), |place| (place + 1).to_string())
}

/// A duration with three digits; any other number stays as it is.
fn short_duration(token: &str) -> String {
    let digits = token.trim_end_matches(|c: char| c.is_alphabetic());
    let unit = &token[digits.len()..];
    match (digits.parse::<f64>(), unit) {
        (Ok(value), "s" | "ms" | "µs" | "ns") if digits.len() > 4 => {
            let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
            format!("{value:.decimals$}{unit}")
        }
        _ => token.to_owned(),
    }
}

/// `CompareAndSet` and `late_copy` as words.
fn lower(token: &str) -> String {
    let mut words = String::new();
    for c in token.chars() {
        if c == '_' {
            words.push(' ');
        } else if c.is_uppercase() {
            if !words.is_empty() {
                words.push(' ');
            }
            words.extend(c.to_lowercase());
        } else {
            words.push(c);
        }
    }
    words
}

/// Leaves out what says nothing: wrappers, and what is absent or false.
fn drop_noise(words: &[String]) -> Vec<&str> {
    let mut kept: Vec<&str> = Vec::new();
    for word in words {
        match word.as_str() {
            "some" | "target" => {}
            "none" | "false" => drop(kept.pop()),
            "true" => {}
            word => kept.push(word),
        }
    }
    kept
}

/// A duration as people write it: three digits and a unit.
pub(super) fn duration(nanos: u64) -> String {
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (nanos as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        _ => (nanos as f64 / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

/// A text cut to a number of characters, with a sign that it was; white space becomes one space.
pub(super) fn cut(text: &str, columns: usize) -> String {
    cut_line(&text.split_whitespace().collect::<Vec<_>>().join(" "), columns)
}

/// A line cut to a number of characters, with a sign that it was.
pub(super) fn cut_line(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    let mut kept: String = line.chars().take(columns.saturating_sub(1)).collect();
    kept.push('…');
    kept
}

/// Bytes as text that a person can read: a long run of one character is cut short.
pub(super) fn bytes(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches('.');
    cut(&text.escape_debug().to_string(), 40)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_becomes_words() {
        let check = |debug, places: &[&str], words| assert_eq!(plain(debug, places), words);
        let crash = "CrashAt { target: Member(2), step: LogSynced, down: 1.5ms }";
        check(crash, &[], "crash at member 3 step log synced down 1.5ms");
        let cut = "Cut { from: 0, to: 1, lasting: 1.5ms, hold: false }";
        check(cut, &["from", "to"], "cut from 1 to 2 lasting 1.5ms");
        let request = "CompareAndSet { key: 1, expected: Absent }";
        check(request, &[], "compare and set key 1 expected absent");
        check("Range { first: 4, end: None, local: true }", &[], "range first 4 local");
        assert_eq!(plain(r#"Note { text: "a \" b, c" }"#, &[]), r#"note text "a \" b, c""#);
        assert_eq!(plain("Slept(-12, 149.035169ms, 1.5)", &[]), "slept -12 149ms 1.5");
        assert_eq!(plain("", &[]), "");
        assert_eq!(plain("\"never closed", &[]), "\"never closed");
    }

    #[test]
    fn durations_have_a_unit_that_fits() {
        let texts = [0, 999, 1_500, 23_400_000, 345_000_000, 2_500_000_000].map(duration);
        assert_eq!(texts, ["0 ns", "999 ns", "1.50 us", "23.4 ms", "345 ms", "2.50 s"]);
    }

    #[test]
    fn long_texts_are_cut_by_characters() {
        assert_eq!(cut("äöü\näöü", 5), "äöü …");
        assert_eq!(cut("short", 5), "short");
        assert_eq!(bytes(b"12......."), "12");
        assert_eq!(bytes(&[b'a', 0, 255]), "a\\0\u{fffd}");
    }
}
