//! A broker that sends all the feedback it keeps at once, whatever window the client has asked for, as Mosquitto 2.0 does
//! when it resumes a session; and that never acknowledges an answer. Byte by byte: no library behaves like that.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use glanced::config::Protocol;

/// Where the answers are wanted.
pub(crate) const ANSWERS: &str = "me/answers";

#[derive(Debug)]
pub(crate) struct Flood {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    protocol: Protocol,
    messages: Vec<String>,
    seen: Mutex<Seen>,
}

/// What the client did so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Connections that asked for feedback.
    pub(crate) connections: usize,
    /// Clean goodbyes of those.
    pub(crate) goodbyes: usize,
    /// How often each packet was acknowledged.
    pub(crate) acknowledged: BTreeMap<u16, usize>,
    /// Answers to feedback, by their quality of service.
    pub(crate) answers: [usize; 2],
}

impl Flood {
    /// Keeps these messages for whoever asks for feedback.
    pub(crate) fn new(protocol: Protocol, messages: Vec<String>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { protocol, messages, seen: Mutex::default() });
        let serving = Arc::clone(&shared);
        // Serves until the tests end.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // It ends as the client likes.
                std::thread::spawn(move || drop(shared.serve(&stream)));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn v5(&self) -> bool {
        self.protocol == Protocol::V5
    }

    fn serve(self: Arc<Self>, stream: &TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut writer = stream.try_clone()?;
        let mut feedback = false;
        let mut kept = false;
        loop {
            let (kind, body) = read_packet(&mut reader)?;
            match kind >> 4 {
                // CONNECT: a session is there for the connection of feedback, which is the one that keeps its session.
                1 => {
                    kept = find(&body, b"-feedback");
                    let properties: &[u8] = if self.v5() { &[0] } else { &[] };
                    writer.write_all(&packet(0x20, &[&[u8::from(kept), 0], properties].concat()))?;
                }
                // SUBSCRIBE
                8 => {
                    let properties: &[u8] = if self.v5() { &[0] } else { &[] };
                    writer.write_all(&packet(0x90, &[&body[..2], properties, &[1]].concat()))?;
                    if kept && find(&body, b"glanced/feedback") {
                        feedback = true;
                        self.seen().connections += 1;
                        let (shared, writer) = (Arc::clone(&self), writer.try_clone()?);
                        std::thread::spawn(move || drop(shared.send_all(writer)));
                    }
                }
                // PUBLISH: only those of the frames' connection are acknowledged.
                3 => {
                    let qos = usize::from(kind >> 1 & 3);
                    let end = 2 + usize::from(u16::from_be_bytes([body[0], body[1]]));
                    if &body[2..end] == ANSWERS.as_bytes() {
                        self.seen().answers[qos] += 1;
                    } else if qos == 1 {
                        writer.write_all(&packet(0x40, &body[end..end + 2]))?;
                    }
                }
                // PUBACK
                4 => *self.seen().acknowledged.entry(u16::from_be_bytes([body[0], body[1]])).or_default() += 1,
                // PINGREQ is answered after all that was sent before: while that is not read, not at all.
                12 if !feedback => writer.write_all(&[0xd0, 0])?,
                14 => {
                    self.seen().goodbyes += usize::from(feedback);
                    return stream.shutdown(std::net::Shutdown::Both);
                }
                _ => {}
            }
        }
    }

    /// Sends what is not acknowledged, as a repetition if it is one.
    fn send_all(&self, mut writer: TcpStream) -> std::io::Result<()> {
        let seen = self.seen().clone();
        for (number, message) in (1_u16..).zip(&self.messages) {
            if seen.acknowledged.contains_key(&number) {
                continue;
            }
            let properties = if self.v5() {
                let response = [&[8, 0, ANSWERS.len() as u8], ANSWERS.as_bytes()].concat();
                [&[response.len() as u8], &response[..]].concat()
            } else {
                Vec::new()
            };
            let topic: &[u8] = b"\x00\x10glanced/feedback";
            let body = [topic, &number.to_be_bytes(), &properties, message.as_bytes()].concat();
            let again = if seen.connections > 1 { 0x08 } else { 0 };
            writer.write_all(&packet(0x32 | again, &body))?;
        }
        Ok(())
    }
}

fn find(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut left = body.len();
    loop {
        let byte = (left & 0x7f) as u8;
        left >>= 7;
        packet.push(if left > 0 { byte | 0x80 } else { byte });
        if left == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

fn read_packet(reader: &mut impl Read) -> std::io::Result<(u8, Vec<u8>)> {
    let byte = |reader: &mut dyn Read| {
        let mut byte = [0];
        reader.read_exact(&mut byte).map(|()| byte[0])
    };
    let kind = byte(reader)?;
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let next = byte(reader)?;
        length |= usize::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((kind, body))
}
