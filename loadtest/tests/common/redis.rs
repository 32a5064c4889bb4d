//! As much of Redis' protocol as it takes to see what an edge has written.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use super::variable;

/// The version of a region that Redis holds.
pub fn stored_version(installation: &str, region: &str) -> Option<u64> {
    let key = format!("liveevent:{{{installation}:{region}}}:v1:state");
    ask(&["HGET", &key, "version"]).map(|text| text.parse().unwrap())
}

/// The serial of the trust bundle that Redis holds.
pub fn stored_trust(installation: &str) -> Option<u64> {
    let key = format!("liveevent:{{{installation}}}:v1:trust");
    ask(&["HGET", &key, "serial"]).map(|text| text.parse().unwrap())
}

/// One command's answer, where that is a text or nothing.
fn ask(command: &[&str]) -> Option<String> {
    let url = variable("REDIS_URL");
    let rest = url.strip_prefix("redis://").unwrap();
    let (account, host) = rest.rsplit_once('@').unwrap_or(("", rest));
    let stream = TcpStream::connect(host.split('/').next().unwrap()).unwrap();
    let mut stream = BufReader::new(stream);
    if let Some((user, password)) = account.split_once(':') {
        let login = ["AUTH", user, password];
        let login: Vec<&str> = login.into_iter().filter(|part| !part.is_empty()).collect();
        exchange(&mut stream, &login);
    }
    exchange(&mut stream, command)
}

fn exchange(stream: &mut BufReader<TcpStream>, command: &[&str]) -> Option<String> {
    let parts = command
        .iter()
        .map(|part| format!("${}\r\n{part}\r\n", part.len()));
    let text = format!("*{}\r\n{}", command.len(), parts.collect::<String>());
    stream.get_mut().write_all(text.as_bytes()).unwrap();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let (kind, rest) = line.trim_end().split_at(1);
    match (kind, rest) {
        ("+" | ":", text) => Some(text.to_owned()),
        ("$", "-1") => None,
        ("$", len) => {
            let mut bytes = vec![0; len.parse::<usize>().unwrap() + 2];
            stream.read_exact(&mut bytes).unwrap();
            bytes.truncate(bytes.len() - 2);
            Some(String::from_utf8(bytes).unwrap())
        }
        _ => panic!("redis answered {line:?} to {}", command[0]),
    }
}
