//! What a receiver reads of a message: its type, versions and times, found by their names in its head.
//!
//! All receivers are sent the same bytes, so what was read last is compared and taken over.

use jiff::Timestamp;

/// What the head of a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Headline {
    /// The hello was accepted.
    Welcome {
        /// How often to ack at most.
        ack_interval_ms: Option<u64>,
    },
    /// A version is held from now on.
    State(State),
    /// Anything else.
    Other,
}

/// A delta, or the last part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    /// In which history, as text.
    pub(super) epoch: [u8; 36],
    /// The version held from now on.
    pub(super) to: u64,
    /// Microseconds since 1970 by the edge, when the text was made.
    pub(super) time: i64,
    /// The same by the origin, when the version was written.
    pub(super) committed: Option<i64>,
}

/// Reads heads, remembering the last.
#[derive(Debug, Default)]
pub(super) struct Reader {
    head: Vec<u8>,
    read: Option<Headline>,
}

impl Reader {
    /// What a head says.
    pub(super) fn read(&mut self, head: &[u8]) -> Headline {
        if let Some(read) = &self.read
            && self.head == head
        {
            return read.clone();
        }
        let read = Headline::of(head);
        self.head.clear();
        self.head.extend_from_slice(head);
        self.read = Some(read.clone());
        read
    }
}

impl Headline {
    fn of(head: &[u8]) -> Self {
        match text(head, b"\"type\":\"") {
            Some(b"welcome") => Self::Welcome {
                ack_interval_ms: number(head, b"\"ackIntervalMs\":"),
            },
            Some(b"delta" | b"snapshot") if find(head, b"\"last\":false").is_none() => {
                State::of(head).map_or(Self::Other, Self::State)
            }
            _ => Self::Other,
        }
    }
}

impl State {
    fn of(head: &[u8]) -> Option<Self> {
        Some(Self {
            epoch: text(head, b"\"epoch\":\"")?.try_into().ok()?,
            to: number(head, b"\"to\":")?,
            time: moment(head, b"\"time\":\"")?,
            committed: moment(head, b"\"committedAt\":\""),
        })
    }
}

/// The place after `name`.
fn find(head: &[u8], name: &[u8]) -> Option<usize> {
    let at = head.windows(name.len()).position(|window| window == name)?;
    Some(at + name.len())
}

fn text<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = &head[find(head, name)?..];
    rest.iter()
        .position(|&byte| byte == b'"')
        .map(|end| &rest[..end])
}

fn number(head: &[u8], name: &[u8]) -> Option<u64> {
    let rest = &head[find(head, name)?..];
    let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

fn moment(head: &[u8], name: &[u8]) -> Option<i64> {
    let time: Timestamp = std::str::from_utf8(text(head, name)?).ok()?.parse().ok()?;
    Some(time.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: &str = "019ab5a4-6c1f-7a52-9d43-5b8c7e0f1a2b";

    fn read(text: &str) -> Headline {
        Reader::default().read(text.as_bytes())
    }

    #[test]
    fn reads_what_travels() {
        let delta = format!(
            r#"{{"type":"delta","epoch":"{EPOCH}","from":41,"to":42,"time":"1970-01-01T00:00:02.5Z","committedAt":"1970-01-01T00:00:02Z","entries":[{{"assig"#
        );
        let state = State {
            epoch: EPOCH.as_bytes().try_into().unwrap(),
            to: 42,
            time: 2_500_000,
            committed: Some(2_000_000),
        };
        assert_eq!(read(&delta), Headline::State(state));
        let part = |last: &str| {
            format!(
                r#"{{"type":"snapshot","epoch":"{EPOCH}","to":7,"time":"1970-01-01T00:00:01Z","index":0,{last}"contents":["#
            )
        };
        assert_eq!(read(&part("\"last\":false,")), Headline::Other);
        for last in ["\"last\":true,", ""] {
            assert!(matches!(read(&part(last)), Headline::State(state) if state.to == 7));
        }
        let welcome = r#"{"type":"welcome","edge":"e","ackIntervalMs":1000,"capabilities":[]}"#;
        let ack_interval_ms = Some(1_000);
        assert_eq!(read(welcome), Headline::Welcome { ack_interval_ms });
        assert_eq!(
            read(r#"{"type":"error","code":"internal"}"#),
            Headline::Other
        );
    }

    #[test]
    fn is_not_fooled_by_what_it_remembers() {
        let mut reader = Reader::default();
        let delta = |to: u64| {
            format!(
                r#"{{"type":"delta","epoch":"{EPOCH}","to":{to},"time":"1970-01-01T00:00:01Z","#
            )
        };
        for to in [1, 1, 2, 1] {
            let Headline::State(state) = reader.read(delta(to).as_bytes()) else {
                panic!("{to}");
            };
            assert_eq!(state.to, to);
        }
    }
}
