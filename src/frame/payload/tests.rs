use base64::engine::general_purpose::{STANDARD as ENCODER, URL_SAFE_NO_PAD};

use super::super::decode::samples::{Jpeg, Random, photo};
use super::*;

const MAX: usize = 1 << 16;

fn image() -> Vec<u8> {
    Jpeg::of_size(48, 32).encode(&photo(48, 32))
}

fn error(payload: &[u8], encoding: Encoding) -> PayloadError {
    unpack(payload, encoding, MAX).expect_err("a bad payload")
}

fn json(fields: &str) -> String {
    format!(r#"{{"image":"{}"{fields}}}"#, ENCODER.encode(image()))
}

#[test]
fn auto_tells_the_encodings_apart() {
    let image = image();
    let text = ENCODER.encode(&image);
    let raw = unpack(&image, Encoding::Auto, MAX).expect("raw");
    assert!(matches!(raw.image, Cow::Borrowed(bytes) if bytes == image), "an image as it is is not copied");
    for payload in [
        text.clone(),
        format!("\n {text}\n"),
        format!("data:image/jpeg;base64,{text}"),
        json(""),
        format!("  {}", json("")),
    ] {
        assert_eq!(unpack(payload.as_bytes(), Encoding::Auto, MAX).expect("unpacks").image, image, "{payload:.40}");
    }
}

#[test]
fn base64_of_all_flavours() {
    // All lengths modulo three, and long enough for several buffers.
    for length in [1, 2, 3, 766, 767, 768, 769, 770, 1535, 1536, 5000, 5001, 5002] {
        let mut random = Random::new(length);
        let bytes: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        let text = ENCODER.encode(&bytes);
        let lines = |width: usize| {
            text.as_bytes().chunks(width).map(|line| String::from_utf8_lossy(line) + "\r\n").collect::<String>()
        };
        let variants = [
            text.clone(),
            text.trim_end_matches('=').to_owned(),
            URL_SAFE_NO_PAD.encode(&bytes),
            lines(76),
            lines(4),
            lines(1),
            lines(76).trim_end_matches(['=', '\r', '\n']).to_owned(),
        ];
        for variant in variants {
            assert_eq!(
                unpack(variant.as_bytes(), Encoding::Base64, MAX).expect("decodes").image,
                bytes,
                "{variant:.80}"
            );
        }
    }
}

#[test]
fn broken_base64_says_where() {
    let long = ENCODER.encode([7; 3000]);
    let table = [
        ("AAAA*AAA".to_owned(), "the base64 is broken: '*' at symbol 4 is not of its alphabet"),
        ("AAAAA".to_owned(), "the base64 is broken: one symbol is left over at its end, after 4"),
        ("A A A A * A A A".to_owned(), "the base64 is broken: '*' at symbol 4 is not of its alphabet"),
        (
            format!("{}* {}", &long[..2000], &long[2001..]),
            "the base64 is broken: '*' at symbol 2000 is not of its alphabet",
        ),
        (
            format!("{}== {}", &long[..1022], &long[..8]),
            "the base64 is broken: it goes on after the padding at symbol 1024",
        ),
        ("AA==AAAA".to_owned(), "the base64 is broken: '=' at symbol 2 is not of its alphabet"),
        ("data:image/png,AAAA".to_owned(), "the base64 is broken: a data: URL must say ;base64, before the data"),
        ("data:".to_owned(), "the base64 is broken: a data: URL must say ;base64, before the data"),
        ("data:image/png;base64,".to_owned(), "the payload is empty"),
    ];
    for (payload, expected) in table {
        assert_eq!(error(payload.as_bytes(), Encoding::Base64).to_string(), expected);
    }
}

#[test]
fn auto_says_what_it_found() {
    let mut broken = ENCODER.encode(image());
    broken.replace_range(50..51, "*");
    let table: [(&[u8], &str); 8] = [
        (b"", "the payload is empty"),
        (b"  \n\t ", "the payload is empty"),
        (b"hello, world", "neither an image, nor base64, nor JSON with one, but text: hello, world"),
        (
            b"<html><body>404</body></html>",
            "neither an image, nor base64, nor JSON with one, but HTML or XML: <html><body>404</body></…",
        ),
        (b"[1, 2]", "neither an image, nor base64, nor JSON with one, but JSON: [1, 2]"),
        (b"\xfe\xff\x01", r"neither an image, nor base64, nor JSON with one, but bytes: \xfe\xff\x01"),
        (&[0; 5000], "neither an image, nor base64, nor JSON with one, but zeros"),
        (broken.as_bytes(), "the base64 is broken: '*' at symbol 50 is not of its alphabet"),
    ];
    for (payload, expected) in table {
        assert_eq!(error(payload, Encoding::Auto).to_string(), expected);
    }
}

#[test]
fn json_fields() {
    let payload =
        json(r#","id":"a1","captured_at":"2026-11-24T03:00:00.120Z","reply_to":"answers/7","extra":{"deep":[1,{}]}"#);
    let unpacked = unpack(payload.as_bytes(), Encoding::Json, MAX).expect("unpacks");
    assert_eq!(unpacked.id.as_deref(), Some("a1"));
    assert_eq!(unpacked.reply_to.as_deref(), Some("answers/7"));
    assert_eq!(unpacked.captured_at.map(Timestamp::as_millisecond), Some(1_795_489_200_120));
    let none =
        unpack(json(r#","id":null,"captured_at":null"#).leak().as_bytes(), Encoding::Json, MAX).expect("unpacks");
    assert_eq!((none.id, none.captured_at, none.reply_to), (None, None, None));
}

#[test]
fn captured_at_in_all_its_forms() {
    let table = [
        (r#""2026-11-24T03:00:00Z""#, Some(1_795_489_200_000)),
        (r#""2026-11-24T11:00:00.5+08:00""#, Some(1_795_489_200_500)),
        ("1795489200", Some(1_795_489_200_000)),
        ("1795489200.25", Some(1_795_489_200_250)),
        ("1795489200120", Some(1_795_489_200_120)),
        ("0", Some(0)),
        ("-1", Some(-1000)),
        (r#""yesterday""#, None),
        (r#""2026-11-24""#, None),
        ("1e300", None),
        ("1e999", None),
        ("[1]", None),
        ("true", None),
    ];
    for (value, expected) in table {
        let payload = json(&format!(r#","captured_at":{value}"#));
        match (unpack(payload.as_bytes(), Encoding::Json, MAX), expected) {
            (Ok(unpacked), expected) => {
                assert_eq!(unpacked.captured_at.map(Timestamp::as_millisecond), expected, "{value}")
            }
            (Err(error), expected) => {
                assert_eq!(expected, None, "{value}: {error}");
                assert_eq!(error.kind(), "json");
            }
        }
    }
}

#[test]
fn json_escapes_in_the_image() {
    let payload = json("").replace('/', r"\/");
    assert_eq!(unpack(payload.as_bytes(), Encoding::Auto, MAX).expect("unpacks").image, image());
    let lines =
        ENCODER.encode(image()).as_bytes().chunks(76).map(|l| String::from_utf8_lossy(l) + r"\n").collect::<String>();
    let payload = format!(r#"{{"image":"{lines}"}}"#);
    assert_eq!(unpack(payload.as_bytes(), Encoding::Auto, MAX).expect("unpacks").image, image());
}

#[test]
fn bad_json_has_a_clear_error() {
    let deep = format!("{{\"x\":{}", "[".repeat(20_000));
    let long = "x".repeat(300);
    let table: [(&[u8], &str); 12] = [
        (b"{", "the JSON is not understood: EOF while parsing"),
        (b"{\"image\":", "the JSON is not understood: EOF while parsing"),
        (b"{}", "the JSON is not understood: missing field `image`"),
        (b"{\"image\":5}", "the JSON is not understood: invalid type: integer `5`"),
        (b"{\"image\":\"\"}", "the payload is empty"),
        (b"{\"image\":\"A\",\"image\":\"B\"}", "the JSON is not understood: duplicate field `image`"),
        (b"{\"image\":\"\xff\xfe\"}", "the JSON is not understood: invalid unicode code point"),
        (b"{\"image\":\"AAAA\"} x", "the JSON is not understood: trailing characters"),
        (b"{\"n\":1e99999999999,\"image\":\"\"}", "the "),
        (b"[\"AAAA\"]", "the JSON is not understood: it is no object, but JSON: [\"AAAA\"]"),
        (deep.as_bytes(), "the JSON is not understood: "),
        (
            br#"{"image":"AAAA","captured_at":{"$date":1}}"#,
            "the JSON is not understood: invalid type: map, expected captured_at as RFC 3339",
        ),
    ];
    for (payload, expected) in table {
        let error = error(payload, Encoding::Json).to_string();
        assert!(error.starts_with(expected), "{error:?}, not {expected:?}");
        assert!(error.len() < 250, "{error}");
    }
    let error = error(json(&format!(r#","id":"{long}""#)).as_bytes(), Encoding::Json);
    assert_eq!(error.to_string(), "the JSON field \"id\" is 300 characters long, over the limit of 256");
    let limit = "雪".repeat(256);
    unpack(json(&format!(r#","id":"{limit}""#)).as_bytes(), Encoding::Json, MAX)
        .expect("characters are counted, not bytes");
    let wrong = format!(r#"{{"image":["{}"]}}"#, "A".repeat(1000));
    assert!(unpack(wrong.as_bytes(), Encoding::Json, MAX).expect_err("a list").to_string().len() < 250);
}

#[test]
fn limits_hold_before_and_after_base64() {
    let over = PayloadError::TooLarge { bytes: 11, max_bytes: 10 };
    assert_eq!(unpack(&[1; 11], Encoding::Raw, 10), Err(over));
    unpack(&[1; 10], Encoding::Raw, 10).expect("at the limit");
    for (length, fits) in [(9, true), (10, true), (11, false), (12, false)] {
        let text = ENCODER.encode(vec![1; length]);
        for text in
            [text.clone(), text.trim_end_matches('=').to_owned(), text.chars().flat_map(|c| [c, '\n']).collect()]
        {
            assert_eq!(unpack(text.as_bytes(), Encoding::Base64, 10).is_ok(), fits, "{text:?}");
        }
    }
    let zeros = vec![0; 100 << 20];
    assert_eq!(error(&zeros, Encoding::Auto), PayloadError::TooLarge { bytes: 100 << 20, max_bytes: MAX });
}

#[test]
fn any_bytes_give_a_result() {
    let mut random = Random::new(1);
    let seeds = [image(), ENCODER.encode(image()).into_bytes(), json(r#","captured_at":1.5,"id":"x""#).into_bytes()];
    for round in 0..3000 {
        let mut payload = seeds[round % seeds.len()].clone();
        payload.truncate(random.below(payload.len() as u32 + 1) as usize);
        for _ in 0..random.below(4) {
            if !payload.is_empty() {
                let at = random.below(payload.len() as u32) as usize;
                payload[at] = random.below(256) as u8;
            }
        }
        for encoding in [Encoding::Auto, Encoding::Raw, Encoding::Base64, Encoding::Json] {
            if let Ok(unpacked) = unpack(&payload, encoding, MAX) {
                assert!(unpacked.image.len() <= MAX);
            }
        }
    }
}

#[test]
fn the_return_address_survives_a_broken_image() {
    let address = return_address(br#" {"image": 7, "id": "x", "reply_to": "me/answers", "more": [[]]}"#);
    assert_eq!(address, ReturnAddress { id: Some("x".into()), reply_to: Some("me/answers".into()) });
    let long = format!(r#"{{"reply_to": "{}"}}"#, "x".repeat(MAX_REPLY_TO + 1));
    for payload in [&b"\xff\xd8\xff"[..], b"", b"{", br#"{"reply_to": 1}"#, long.as_bytes()] {
        assert_eq!(return_address(payload), ReturnAddress::default());
    }
}
