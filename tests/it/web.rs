//! The API that the page uses: what it answers, and to whom.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use crate::bundles::copied;
use crate::support::broker::{self, Mosquitto};
use crate::support::client::Client;
use crate::support::eventually;
use crate::support::http::{Answer, get, request, send};
use crate::support::launch::Launch;
use crate::support::node::Node;
use crate::support::pictures::{GREEN, RED, jpeg, photograph, plain, png};

const TOKEN: &str = "a-token-of-24-characters";

/// A node without a broker: none of this needs one.
fn node() -> Node {
    Launch::new(format_args!("mqtt://{}", broker::free_address())).start()
}

fn parse(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("no JSON ({error}): {answer:?}"))
}

fn fetch(node: &Node, path: &str) -> Value {
    let answer = get(node.http(), path, None);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    parse(&answer)
}

fn try_out(node: &Node, path: &str, picture: &[u8]) -> Answer {
    request(node.http(), "POST", path, "Content-Type: application/octet-stream\r\n", picture)
}

fn assert_problem(answer: &Answer, status: u16, detail: &str) {
    let problem = parse(answer);
    assert_eq!((answer.status, &problem["status"]), (status, &json!(status)), "{answer:?}");
    assert!(answer.head.contains("content-type: application/problem+json"), "{answer:?}");
    assert!(problem["detail"].as_str().is_some_and(|said| said.contains(detail)), "{detail:?} is not in {problem}");
}

#[test]
fn a_picture_is_classified_and_the_same_one_again_is_known() {
    let node = node();
    let red = png(&plain(RED));
    let first = parse(&try_out(&node, "/api/classify?pictures=true", &red));
    assert_eq!((&first["top3"][0]["label"], &first["cached"]), (&json!("red"), &json!(false)), "{first}");
    assert_eq!(first["pictures"][0]["view"], "centre");
    assert!(first["pictures"][0]["jpeg"].as_str().is_some_and(|jpeg| jpeg.starts_with("/9j/")), "{first}");
    let again = parse(&try_out(&node, "/api/classify?pictures=true", &red));
    assert_eq!((&again["frame"], &again["cached"]), (&first["frame"], &json!(true)), "{again}");
    let form = [
        b"--x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"g.png\"\r\n\r\n".as_slice(),
        &png(&plain(GREEN)),
        b"\r\n--x--\r\n",
    ];
    let headers = "Content-Type: multipart/form-data; boundary=x\r\n";
    let other = parse(&request(node.http(), "POST", "/api/classify", headers, &form.concat()));
    assert_eq!((&other["top3"][0]["label"], &other["cached"]), (&json!("green"), &json!(false)), "{other}");
    assert_eq!(fetch(&node, "/api/node")["cache"], json!({"entries": 2, "hits": 1, "misses": 2}));
    // What was tried can be corrected, and its picture be seen.
    let said = json!({"frame": first["frame"], "label": "crimson"}).to_string();
    assert_eq!(parse(&send(node.http(), "POST", "/api/feedback", Some(&said)))["new_class"], true);
    let frame = first["frame"].as_str().expect("an id");
    let picture = get(node.http(), &format!("/api/frames/{frame}.jpg"), None);
    assert!(picture.status == 200 && picture.head.contains("content-type: image/png"), "{}", picture.head);
    node.stop();
}

#[test]
fn what_is_no_picture_is_said_in_words_and_costs_no_memory() {
    let node = node();
    assert_problem(&try_out(&node, "/api/classify", b"hello"), 422, "not an image: text: hello");
    assert_problem(&try_out(&node, "/api/classify", b""), 422, "there is no picture");
    assert_problem(&try_out(&node, "/api/classify?model=nobody", b"x"), 404, "no model \"nobody\"");
    let headers = "Content-Type: multipart/form-data; boundary=x\r\n";
    let form = b"--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--x--\r\n";
    assert_problem(&request(node.http(), "POST", "/api/classify", headers, form), 422, "no field \"image\"");
    // So many of half a megabyte would show if each left something behind.
    let mut bad = photograph("coffee.jpg");
    let half = bad.len() / 2;
    bad[half..].fill(0xff);
    bad.resize(512 << 10, 0xff);
    let mut refused = 0;
    let mut bad_ones = |count: usize| {
        for _ in 0..count {
            match try_out(&node, "/api/classify", &bad).status {
                // A decoder may make something of the upper half.
                200 | 422 => refused += 1,
                429 | 503 => {}
                status => panic!("status {status}"),
            }
        }
    };
    bad_ones(200);
    let before = node.metric("glanced_memory_resident_bytes");
    bad_ones(1000);
    let after = node.metric("glanced_memory_resident_bytes");
    assert!(refused > 100, "{refused} were looked at");
    assert!(after < before + f64::from(16 << 20), "{before} bytes before, {after} after");
    node.stop();
}

#[test]
fn who_asks_too_much_is_told_so_and_others_are_not() {
    let node = node();
    let statuses: Vec<u16> = (0..400).map(|_| send(node.http(), "DELETE", "/api/retrain", None).status).collect();
    assert!(statuses.contains(&429) && statuses[..50].iter().all(|status| *status == 409), "{statuses:?}");
    assert_eq!(get(node.http(), "/api/node", None).status, 200);
    node.stop();
}

#[test]
fn pages_of_other_sites_and_names_of_others_are_refused() {
    let node = node();
    let post = |headers: &str| request(node.http(), "POST", "/api/retrain", headers, b"{}");
    assert_problem(&post("Origin: http://evil.example\r\n"), 403, "another site");
    assert_problem(&post("Sec-Fetch-Site: cross-site\r\n"), 403, "another site");
    assert_problem(&request(node.http(), "GET", "/api/node", "Host: evil.example\r\n", b""), 403, "http.token_file");
    assert_eq!(request(node.http(), "GET", "/api/node", "Host: localhost:8080\r\n", b"").status, 200);
    assert_eq!(post("Sec-Fetch-Site: same-origin\r\n").status, 202);
    for path in ["/assets/..%2f..%2fCargo.toml", "/assets/nothing.js", "/api/frames/..%2f..%2fx.jpg"] {
        assert!(matches!(get(node.http(), path, None).status, 400 | 404), "{path}");
    }
    let page = get(node.http(), "/", None);
    for wanted in ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff", "etag: \""] {
        assert!(page.head.contains(wanted), "{wanted}: {}", page.head);
    }
    node.stop();
}

#[test]
fn a_browser_logs_in_and_out() {
    let launch = Launch::new(format_args!("mqtt://{}", broker::free_address()));
    let file = launch.write("token", &format!("{TOKEN}\n"));
    let node = launch.set("http.token_file", file.display()).start();
    // The page itself is no secret, and has to ask for the token.
    assert_eq!(get(node.http(), "/", None).status, 200);
    assert_eq!(fetch(&node, "/api/session"), json!({"login": true, "in": false}));
    assert_problem(&get(node.http(), "/api/node", None), 401, "a token is needed");
    let login = |token: &str| send(node.http(), "POST", "/api/session", Some(&json!({"token": token}).to_string()));
    assert_problem(&login("another-token-altogether"), 401, "not the token");
    let answer = login(TOKEN);
    assert_eq!(answer.status, 204, "{answer:?}");
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
    assert!(cookie.contains("httponly") && cookie.contains("samesite=strict"), "{cookie}");
    let cookie = cookie.split(';').next().expect("a name and a value");
    let with_cookie =
        |method, path, more: &str| request(node.http(), method, path, &format!("Cookie: {cookie}\r\n{more}"), b"");
    assert_eq!(with_cookie("GET", "/api/node", "").status, 200);
    assert_problem(&with_cookie("POST", "/api/retrain", "Origin: http://evil.example\r\n"), 403, "another site");
    assert_eq!(with_cookie("DELETE", "/api/session", "").status, 204);
    assert_eq!(with_cookie("GET", "/api/node", "").status, 401);
    let guesses: Vec<u16> = (0..10).map(|_| login("a-guess-of-24-characters").status).collect();
    assert!(guesses.contains(&429), "{guesses:?}");
    let log = node.log.clone();
    node.stop();
    assert!(!log.text().contains(TOKEN), "the token is in the log");
}

/// The events that come over `/api/live`, as they come: name and data.
fn live(address: SocketAddr) -> impl Iterator<Item = (String, Value)> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(*crate::support::PATIENCE)).expect("a socket with a clock");
    write!(stream, "GET /api/live HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("a request");
    let mut event = "message".to_owned();
    BufReader::new(stream).lines().map_while(Result::ok).filter_map(move |line| {
        if let Some(name) = line.strip_prefix("event: ") {
            event = name.to_owned();
        }
        let data = line.strip_prefix("data: ")?;
        let name = std::mem::replace(&mut event, "message".to_owned());
        Some((name, serde_json::from_str(data).unwrap_or_else(|error| panic!("no JSON ({error}): {data}"))))
    })
}

#[test]
fn cameras_are_seen_live_with_small_pictures() {
    let mosquitto = Mosquitto::new();
    let node = Launch::new(mosquitto.url()).serve();
    let client = Client::v5(mosquitto.open);
    client.subscribe("glanced/+/top3");
    let mut events = live(node.http());
    let (name, state) = events.next().expect("an event");
    assert_eq!((name.as_str(), &state["running"]), ("retrain", &Value::Null));
    client.publish("cameras/gate/frame", jpeg(&plain(RED)));
    let published = client.fresh_on("glanced/gate/top3").json();
    let (name, seen) = events.find(|(name, _)| name == "message").expect("a result");
    assert_eq!((name.as_str(), &seen), ("message", &published));
    let cameras = fetch(&node, "/api/cameras");
    assert_eq!((&cameras["cameras"][0]["camera"], &cameras["cameras"][0]["result"]), (&json!("gate"), &published));
    let frame = seen["frame"].as_str().expect("an id");
    let small = get(node.http(), &format!("/api/frames/{frame}.jpg?small=true"), None);
    assert!(small.status == 200 && small.head.contains("content-type: image/jpeg"), "{}", small.head);
    // A page that looks on does not keep the node from stopping.
    node.stop();
}

#[test]
fn what_was_kept_is_reviewed_labelled_taken_back_and_removed() {
    let node = node();
    for (label, colour) in [("red", RED), ("green", GREEN), ("green", RED)] {
        let image = crate::support::pictures::base64(&png(&plain(colour)));
        let said = json!({"image": image, "camera": "gate", "label": label, "by": label}).to_string();
        assert_eq!(parse(&send(node.http(), "POST", "/api/feedback", Some(&said)))["stored"], true);
    }
    let frames = |query: &str| fetch(&node, &format!("/api/frames?state=all{query}"))["frames"].clone();
    let all = frames("");
    assert_eq!(all.as_array().map(Vec::len), Some(2), "{all}");
    let of = |label: &str| frames(&format!("&label={label}"));
    assert_eq!(frames("&camera=yard"), json!([]));
    // Two statements about one picture: the later one stands for it.
    let greens = of("green");
    assert_eq!(greens.as_array().map(Vec::len), Some(2), "{greens}");
    let last = greens
        .as_array()
        .into_iter()
        .flatten()
        .find(|frame| frame["said"]["by"] == "green" && frame["frame"] == all[0]["frame"]);
    let last = last.or_else(|| greens.as_array()?.first()).expect("a frame");
    let (frame, feedback) = (last["frame"].clone(), last["said"]["feedback"].clone());
    let path = format!("/api/feedback/{}", feedback.as_str().expect("an id"));
    assert_eq!(send(node.http(), "DELETE", &path, None).status, 204);
    assert_problem(&send(node.http(), "DELETE", &path, None), 404, "taken back already");
    assert_eq!(of("green").as_array().map(Vec::len), Some(1));
    let path = format!("/api/frames/{}", frame.as_str().expect("an id"));
    assert_eq!(send(node.http(), "DELETE", &path, None).status, 204);
    assert_problem(&send(node.http(), "DELETE", &path, None), 404, "no such frame");
    assert_eq!(frames("").as_array().map(Vec::len), Some(1));
    assert_problem(&get(node.http(), "/api/frames?state=some", None), 400, "unknown variant");
    assert_problem(&get(node.http(), "/api/frames?limit=0", None), 400, "limit: 1 to 200");
    node.stop();
}

#[test]
fn models_are_listed_and_made() {
    let launch = copied("tints", |_| {});
    let node = launch.set("mqtt.url", format!("mqtt://{}", broker::free_address())).start();
    let new = json!({"name": "gate", "from": "tints", "labels": ["open", "closed"]}).to_string();
    let made = send(node.http(), "POST", "/api/models", Some(&new));
    assert_eq!(made.status, 201, "{made:?}");
    assert!(parse(&made)["source"].as_str().is_some_and(|toml| toml.contains("model = \"gate\"")), "{made:?}");
    assert_problem(&send(node.http(), "POST", "/api/models", Some(&new)), 409, "there is a model \"gate\"");
    for (name, from, labels, wanted) in [
        ("../x", "tints", json!(["a", "b"]), (422, "can't be a model's name")),
        ("x", "../tints", json!(["a", "b"]), (404, "was not found")),
        ("x", "tints", json!(["a", "A"]), (422, "names one twice")),
        ("x", "tints", json!(["a"]), (422, "two classes or more")),
    ] {
        let new = json!({"name": name, "from": from, "labels": labels}).to_string();
        assert_problem(&send(node.http(), "POST", "/api/models", Some(&new)), wanted.0, wanted.1);
    }
    let models = fetch(&node, "/api/models");
    let named = |name: &str| {
        let models = models["models"].as_array().into_iter().flatten();
        models.clone().find(|model| model["name"] == name).cloned().unwrap_or_default()
    };
    assert_eq!((&named("gate")["served"], &named("tints")["served"]), (&json!(false), &json!(true)), "{models}");
    assert_eq!(named("gate")["versions"][0]["learnt"], false);
    let labels = fetch(&node, "/api/labels?q=re");
    assert_eq!(labels["labels"][0]["label"], "red", "{labels}");
    eventually("the store is open", || (get(node.http(), "/api/feedback/stats", None).status == 200).then_some(()));
    assert_eq!(fetch(&node, "/api/feedback/stats")["needs"]["need"], 30);
    node.stop();
}
