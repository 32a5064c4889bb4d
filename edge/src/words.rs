//! What strangers and errors say, made fit to be told on: one line, not too long.

use liveevents_protocol::limits::MAX_REASON;

/// The text in one line, cut to [`MAX_REASON`] bytes.
pub(crate) fn words(text: &str) -> String {
    let mut line = String::new();
    for c in text.trim().chars() {
        let c = if c.is_control() { ' ' } else { c };
        if line.len() + c.len_utf8() > MAX_REASON {
            break;
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_becomes_one_line_that_is_not_too_long() {
        for (text, expected) in [
            ("", ""),
            (" no such item\n", "no such item"),
            ("a\nb\u{7f}\u{1b}[1m", "a b  [1m"),
        ] {
            assert_eq!(words(text), expected);
        }
        // 200 bytes do not divide by three.
        assert_eq!(words(&"…".repeat(1000)), "…".repeat(MAX_REASON / 3));
    }
}
