//! A browser of a few lines.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and header lines, lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// `GET path`, with a bearer token if one is given. `None` if nobody answers.
pub(crate) fn try_get(address: SocketAddr, path: &str, token: Option<&str>) -> Option<Answer> {
    let authorization = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
    exchange(address, "GET", path, &authorization, b"")
}

/// Another method, with some JSON, or without a body.
pub(crate) fn send(address: SocketAddr, method: &str, path: &str, json: Option<&str>) -> Answer {
    let kind = if json.is_some() { "Content-Type: application/json\r\n" } else { "" };
    let answer = exchange(address, method, path, kind, json.unwrap_or_default().as_bytes());
    answer.unwrap_or_else(|| panic!("no HTTP answer from {address}{path}"))
}

/// A request with header lines of one's own, each with its line end, and a body of any bytes.
pub(crate) fn request(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let answer = exchange(address, method, path, headers, body);
    answer.unwrap_or_else(|| panic!("no HTTP answer from {address}{path}"))
}

fn exchange(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    let host = if headers.starts_with("Host: ") { String::new() } else { format!("Host: {address}\r\n") };
    let head =
        format!("{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n");
    // One that is refused for its size may be answered before all of it is read.
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

pub(crate) fn get(address: SocketAddr, path: &str, token: Option<&str>) -> Answer {
    try_get(address, path, token).unwrap_or_else(|| panic!("no HTTP answer from {address}{path}"))
}
