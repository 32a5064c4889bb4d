//! What hostile bytes make a decoder allocate, counted: never more than the limits say.
//!
//! A test binary of its own, and one test in it, since the counting allocator counts for the whole process.
#![expect(clippy::unwrap_used, reason = "tests all through")]

use std::io::{self, Read as _};

use liveevents_protocol::codec::{
    DecodeError, FrameDecoder, RawFrame, decode_edge_frame, decode_entries, decode_origin_frame,
    decode_stamped, decode_trust,
};
use liveevents_protocol::frame::FORMAT_V1;
use liveevents_protocol::limits::{
    MAX_BODY, MAX_CLIENT_MESSAGE, MAX_DECODED, MAX_HELLO, MAX_ROW, MAX_TRUST,
};
use liveevents_protocol::message::{ClientMessage, ServerMessage};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The most that was allocated at once while `work` ran, beyond what was before.
fn peak<T>(work: impl FnOnce() -> T) -> usize {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let result = work();
    let peak = ALLOCATOR.peak_usage();
    drop(result);
    peak.saturating_sub(before)
}

/// bincode's variable-length integer, in its longest form.
fn number(value: u64) -> Vec<u8> {
    [&[253], value.to_le_bytes().as_slice()].concat()
}

fn frame(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 2).unwrap();
    [&len.to_be_bytes(), [kind, flags].as_slice(), body].concat()
}

/// As an origin receives from who has not said who it is, and an edge from its origin.
fn receive<T>(
    limit: usize,
    decode: fn(&RawFrame) -> Result<T, DecodeError>,
    bytes: &[u8],
) -> Option<T> {
    let mut decoder = FrameDecoder::new(limit);
    decoder.push(bytes);
    decode(&decoder.next_frame().ok()??).ok()
}

/// Frames that try to make their receiver allocate more than `limit`.
fn hostile_frames(limit: usize) -> Vec<(String, Vec<u8>)> {
    let limit_u64 = u64::try_from(limit).unwrap();
    let mut frames = Vec::new();
    for len in [u32::MAX, u32::try_from(limit).unwrap() + 3] {
        let header = [&len.to_be_bytes(), [1, 0].as_slice()].concat();
        frames.push((format!("a header claiming {len}"), header));
    }
    let bomb = zstd::encode_all(io::repeat(0).take(100 << 20), 1).unwrap();
    let ones = zstd::bulk::compress(&vec![1; limit], 1).unwrap();
    let window = [0x28, 0xb5, 0x2f, 0xfd, 0, (27 - 10) << 3, 1, 0, 0];
    for kind in [1, 2, 64, 65, 66, 67] {
        for body in [&bomb, &ones, window.as_slice()] {
            let what = format!("kind {kind}, {} bytes compressed", body.len());
            frames.push((what, frame(kind, 1, body)));
        }
        // The claim stands where a length may: at the start, or behind as many empty texts or bytes.
        for before in 0..80 {
            for claim in [
                u64::MAX,
                limit_u64,
                limit_u64 / 24,
                limit_u64 / 104,
                limit_u64 - 200,
            ] {
                let body = [vec![0; before], number(claim)].concat();
                frames.push((
                    format!("kind {kind}, {claim} claimed at {before}"),
                    frame(kind, 0, &body),
                ));
            }
        }
    }
    // A hello whose lists hold as many of the least elements as fit.
    let texts = [b"\x01a\x01a".as_slice(), &[0; 16], &[0, 0]].concat();
    let capabilities = [
        texts.clone(),
        number(limit_u64 / 24 - 20),
        vec![0; limit / 24],
    ]
    .concat();
    frames.push(("many capabilities".to_owned(), frame(1, 0, &capabilities)));
    let count = limit_u64 / 104 - 20;
    let regions: Vec<u8> = (0..count).flat_map(|_| [1, b'r', 0]).collect();
    let regions = [texts, vec![0, 0], number(count), regions].concat();
    frames.push(("many regions".to_owned(), frame(1, 0, &regions)));
    frames
}

/// A content up to its tags, and what follows them.
const CONTENT: [&[u8]; 2] = [&[0, 1, b'e', 1, 0, 0, 0, 0, 0], &[0, 0, 2, b'{', b'}']];

/// Small elements, which take most in memory for their bytes.
fn dense_elements() -> Vec<(&'static str, Vec<u8>)> {
    let content = |count: usize, tags: &[u8]| {
        let count = number(u64::try_from(count).unwrap());
        [CONTENT[0], &count, tags, CONTENT[1]].concat()
    };
    let languages: Vec<u8> = ('\u{80}'..'\u{7ff}')
        .flat_map(|language| [&[2], language.to_string().as_bytes(), &[0, 0, 0]].concat())
        .collect();
    let texts = number(u64::try_from(languages.len() / 6).unwrap());
    let localized = [CONTENT[0], &[0], &texts, &languages, &[0, 2, b'{', b'}']].concat();
    let occurrences: Vec<u8> = (0..60_u8).flat_map(|i| [i * 4, i * 4 + 2]).collect();
    let scheduled = [&[1, 1, b'e', 0, 0, 0, 60], occurrences.as_slice(), &[0, 0]].concat();
    // A segment up to its list of excluded players, with texts of three bytes so that each is another.
    let listed: Vec<u8> = (0..60_000_u16)
        .flat_map(|player| {
            [
                2,
                b'0' + (player / 100 % 70).to_le_bytes()[0],
                b' ' + (player % 90).to_le_bytes()[0],
            ]
        })
        .collect();
    let players = number(60_000);
    let segment = |list: &[u8]| [&[4, 1, b's', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], list, &[0]].concat();
    vec![
        ("segments", segment(&[0])),
        (
            "listed players",
            segment(&[players.as_slice(), &listed].concat()),
        ),
        ("removed segments", vec![5, 1, b's']),
        ("removals", vec![3, 1, b'e']),
        ("removed contents", vec![2, 1, b'e', 0]),
        ("assignments", vec![1, 1, b'e', 0, 0, 0, 0, 0, 0]),
        ("contents", content(0, &[])),
        ("empty tags", content(100_000, &[0].repeat(100_000))),
        ("short tags", content(100, &[1, b't'].repeat(100))),
        ("localizations", localized),
        ("occurrences", scheduled),
    ]
}

/// As many of an element as a row's bytes have room for, or at most so many.
fn list_of(element: &[u8], most: usize) -> Vec<u8> {
    let count = most.min((MAX_ROW - 9) / element.len());
    [number(u64::try_from(count).unwrap()), element.repeat(count)].concat()
}

/// About as many of an element as decode.
fn most_that_decode(element: &[u8], decodes: fn(&[u8]) -> bool) -> Vec<u8> {
    let mut most = MAX_ROW / element.len();
    while !decodes(&list_of(element, most)) {
        most = most * 19 / 20;
        assert!(most > 0, "the element is none: {:?}", element.get(..20));
    }
    list_of(element, most)
}

/// Rows that claim more than there is, or nest too deep, or are none.
fn false_rows() -> Vec<(&'static str, Vec<u8>)> {
    let claims = |at: usize, claim: usize| {
        [
            number(1),
            vec![0; at],
            number(u64::try_from(claim).unwrap()),
        ]
        .concat()
    };
    let json = "[".repeat(MAX_ROW / 2) + &"]".repeat(MAX_ROW / 2 - 100);
    let json = [
        number(u64::try_from(json.len()).unwrap()),
        json.into_bytes(),
    ]
    .concat();
    vec![
        ("a claimed list", claims(0, usize::MAX)),
        (
            "a claimed list within the limit",
            number(u64::try_from(MAX_DECODED / 300).unwrap()),
        ),
        ("a claimed text", claims(1, MAX_DECODED - 10_000)),
        ("a claimed text too large", claims(1, MAX_DECODED + 1)),
        ("noise", vec![0xff; MAX_ROW]),
        ("nothing", vec![0; MAX_ROW]),
        (
            "json nested deep",
            [&number(1), CONTENT[0], &[0, 0], &json].concat(),
        ),
    ]
}

fn hostile_texts(len: usize) -> Vec<(&'static str, String)> {
    let fill = |before: &str, element: &str, after: &str| {
        let count = (len - before.len() - after.len()) / element.len();
        let mut elements = element.repeat(count);
        elements.pop();
        format!("{before}{elements}{after}")
    };
    let epoch = "\"epoch\":\"00000000-0000-0000-0000-000000000000\"";
    let times = "\"from\":0,\"to\":1,\"time\":\"2026-01-01T00:00:00Z\"";
    let delta = format!("{{\"type\":\"delta\",{epoch},{times},\"entries\":[");
    let content = "{\"eventId\":\"e\",\"revision\":1,\"type\":\"ContentRelease\",\"displayName\":\"\",\"configuration\":{}";
    let snapshot =
        format!("{{\"type\":\"snapshot\",{epoch},{times},\"assignments\":[],\"contents\":[");
    vec![
        ("a long type", fill("{\"type\":\"", "x", "x\"}")),
        ("an escaped type", fill("{\"type\":\"", "\\u0061", "\"}")),
        (
            "a long region",
            fill("{\"type\":\"hello\",\"region\":\"", "x", "x\"}"),
        ),
        (
            "unknown fields",
            fill("{\"type\":\"ack\",", "\"x\":[[[0]]],", "}"),
        ),
        (
            "deep in the unknown",
            fill("{\"type\":\"ack\",\"x\":", "[", "}"),
        ),
        ("unknown entries", fill(&delta, "{},", "]}")),
        ("unreadable entries", fill(&delta, "{\"content\":0},", "]}")),
        (
            "unreadable entries of an event",
            fill(&delta, "{\"content\":{\"eventId\":\"e\"}},", "]}"),
        ),
        (
            "removals",
            fill(&delta, "{\"removedAssignment\":{\"eventId\":\"e\"}},", "]}"),
        ),
        (
            "tags",
            fill(&format!("{snapshot}{content},\"tags\":["), "\"\",", "]}]}"),
        ),
        ("contents", fill(&snapshot, &format!("{content}}},"), "]}")),
    ]
}

/// The most memory that the process has held, C's allocations included.
fn high_water_mark() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: Option<usize> = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or_default() * 1024
}

#[test]
fn hostile_bytes_allocate_within_the_limits() {
    let mut faults = Vec::new();
    let mut check = |what: &str, peak: usize, bound: usize| {
        if peak > bound {
            faults.push(format!("{what}: {peak} bytes, at most {bound} expected"));
        }
    };

    // Before anybody has said who he is: the body, once more decompressed while it grows, and its lists.
    let hostile = hostile_frames(MAX_HELLO);
    let before = high_water_mark();
    for (what, bytes) in &hostile {
        let bytes_too = 2 * bytes.len();
        check(
            what,
            peak(|| receive(MAX_HELLO, decode_edge_frame, bytes)),
            4 * MAX_HELLO + bytes_too,
        );
    }
    let grown = high_water_mark() - before;
    check("hellos in all, zstd's memory included", grown, 2 << 20);

    for (what, bytes) in &hostile_frames(MAX_BODY) {
        let bytes_too = 2 * bytes.len();
        check(
            what,
            peak(|| receive(MAX_BODY, decode_origin_frame, bytes)),
            4 * MAX_BODY + bytes_too,
        );
    }
    for (what, element) in &dense_elements() {
        let mut densest = |element: &[u8], decode: fn(&[u8]) -> bool| {
            let full = list_of(element, MAX_ROW);
            let mut most = peak(|| decode(&full));
            if most < 1024 {
                // Refused by its length alone: what of a list that is not?
                let fits = most_that_decode(element, decode);
                most = peak(|| decode(&fits));
                assert!(most > MAX_ROW / 2, "{what}: {most} bytes are not hostile");
            }
            check(what, most, MAX_DECODED + MAX_ROW);
        };
        densest(element, |row| decode_entries(FORMAT_V1, row).is_ok());
        let stamped = [&[1], element.as_slice()].concat();
        densest(&stamped, |row| decode_stamped(row).is_ok());
    }
    for (what, row) in &false_rows() {
        check(what, peak(|| decode_entries(FORMAT_V1, row)), MAX_DECODED);
        check(what, peak(|| decode_stamped(row)), MAX_DECODED);
        check(what, peak(|| decode_trust(row)), MAX_TRUST);
    }
    for (what, text) in &hostile_texts(MAX_CLIENT_MESSAGE) {
        check(
            what,
            peak(|| ClientMessage::parse(text)),
            4 * MAX_CLIENT_MESSAGE,
        );
    }
    for (what, text) in &hostile_texts(1 << 20) {
        check(what, peak(|| ServerMessage::parse(text)), 32 * text.len());
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
