//! From merged layers to a [`Config`]: ranges, rules between keys, and the files that are named.
//!
//! Each section reads all its keys before it gives up on any, so that everything wrong is reported at once.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::civil::Time;

use super::error::Problems;
use super::layers::{GivenSource, Layers};
use super::level::check_level;
use super::read::{Files, Read, Reader};
use super::topic::{check_filter, check_name};
use super::value::quoted;
use super::{
    BrokerUrl, CameraName, Classify, Collect, Config, Crop, Decode, Encoding, HomeAssistant, Http, Inference, Learn,
    Log, LogFormat, Looking, Model, Mqtt, Protocol, Repeating, Repeats, Secret, Service, Source, Store,
};
use crate::classify::views::Views;
use crate::model::Precision;

/// The least length of the HTTP token, in characters.
const MIN_TOKEN: usize = 16;

/// The largest packet, and so the largest frame, that MQTT can express, in bytes: 28 bits of length.
const MAX_PACKET: i64 = 268_435_455;

/// Judges all values. `None` if there are problems.
pub(super) fn resolve(layers: &Layers, files: Files, problems: &mut Problems) -> Option<Config> {
    let mut r = Reader::new(&layers.settings, "", files, problems);
    let mqtt = mqtt(&mut r);
    let model = model(&mut r);
    let inference = inference(&mut r);
    let decode = decode(&mut r);
    let classify = classify(&mut r);
    let store = store(&mut r);
    let learn = learn(&mut r);
    let homeassistant = homeassistant(&mut r);
    let http = http(&mut r);
    let log = log(&mut r);
    let service = r.seconds("service.stop_within_s", 1..=300).map(|stop_within| Service { stop_within });
    debug_assert_eq!(r.forgotten(), None, "a key of the default file that nothing reads");

    let sources = sources(&layers.sources, model.as_ref().ok(), files, problems);
    let config = Config {
        mqtt: mqtt.ok()?,
        sources,
        model: model.ok()?,
        inference: inference.ok()?,
        decode: decode.ok()?,
        classify: classify.ok()?,
        store: store.ok()?,
        learn: learn.ok()?,
        homeassistant: homeassistant.ok()?,
        http: http.ok()?,
        log: log.ok()?,
        service: service.ok()?,
    };
    problems.is_empty().then_some(config)
}

fn classify(r: &mut Reader<'_>) -> Read<Classify> {
    let names = Views::NAMES.map(|(name, _)| (name, Looking::Always(name)));
    let choices: Vec<_> = names.into_iter().chain([("dynamic", Looking::Dynamic)]).collect();
    let views = r.choice("classify.views", &choices);
    let views_budget = r.real("classify.views_budget", 1.0..=10.0);
    let prior = r.truth("classify.prior");
    let half_life = r.real("classify.temporal_half_life_s", 0.0..=3600.0);
    let unknown_below = r.fraction("classify.unknown_below");
    Ok(Classify {
        views: views?,
        views_budget: views_budget?,
        prior: prior?,
        temporal_half_life_s: half_life?,
        unknown_below: unknown_below?,
    })
}

fn mqtt(r: &mut Reader<'_>) -> Read<Mqtt> {
    let url = r.parsed::<BrokerUrl>("mqtt.url");
    let protocol = r.choice("mqtt.protocol", &[("5", Protocol::V5), ("3.1.1", Protocol::V311)]);
    let node = node(r);
    let client_id = r.optional("mqtt.client_id");
    let username = r.optional("mqtt.username");
    let password = r.secret("mqtt.password_file");
    let ca_file = r.readable("mqtt.ca_file");
    let cert_file = r.readable("mqtt.cert_file");
    let key_file = r.readable("mqtt.key_file");
    let prefix = r.checked("mqtt.prefix", |prefix| check_name(prefix, true));
    let request_group = r.optional_checked("mqtt.request_group", check_group);
    let keep_alive = r.seconds("mqtt.keep_alive_s", 5..=600);
    let max_packet_bytes = r.whole("mqtt.max_packet_bytes", 65_536..=MAX_PACKET, "bytes");
    let retain_results = r.truth("mqtt.retain_results");
    let stats_every = r.seconds("mqtt.stats_every_s", 1..=86_400);
    let reconnect_max = r.seconds("mqtt.reconnect_max_s", 1..=3600);
    let embedded_broker = r.truth("mqtt.embedded_broker");

    if let Ok(url) = &url {
        for key in ["mqtt.ca_file", "mqtt.cert_file", "mqtt.key_file"] {
            if !url.tls && r.is_set(key) {
                r.rule(key, format!("is only for mqtts://, but mqtt.url is {url}"));
            }
        }
        if matches!(embedded_broker, Ok(true)) && (url.tls || !url.is_loopback()) {
            r.rule("mqtt.embedded_broker", format!("needs mqtt:// on a loopback address, but mqtt.url is {url}"));
        }
    }
    for (key, other, other_path) in
        [("mqtt.cert_file", "mqtt.key_file", &key_file), ("mqtt.key_file", "mqtt.cert_file", &cert_file)]
    {
        if r.is_set(key) && matches!(other_path, Ok(None)) {
            r.rule(key, format!("needs {other} too"));
        }
    }
    if r.is_set("mqtt.password_file") && matches!(username, Ok(None)) {
        r.rule("mqtt.password_file", "needs mqtt.username too");
    }

    let node = node?;
    Ok(Mqtt {
        url: url?,
        protocol: protocol?,
        client_id: client_id?.unwrap_or_else(|| format!("glanced-{node}")),
        username: username?,
        password: password?,
        ca_file: ca_file?,
        cert_file: cert_file?,
        key_file: key_file?,
        prefix: prefix?,
        node,
        request_group: request_group?,
        keep_alive: keep_alive?,
        max_packet_bytes: max_packet_bytes?,
        retain_results: retain_results?,
        stats_every: stats_every?,
        reconnect_max: reconnect_max?,
        embedded_broker: embedded_broker?,
    })
}

fn node(r: &mut Reader<'_>) -> Read<String> {
    if let Some(node) = r.optional_checked("mqtt.node", |node| check_name(node, false))? {
        return Ok(node);
    }
    let host = hostname::get()
        .map_err(|error| r.rule("mqtt.node", format!("must be set, for the host name can't be found: {error}")))?;
    let host = host.to_string_lossy().into_owned();
    match check_name(&host, false) {
        Ok(()) if !host.contains(char::is_control) => Ok(host),
        _ => {
            Err(r.rule("mqtt.node", format!("must be set, for the host name {} can't stand in a topic", quoted(&host))))
        }
    }
}

fn model(r: &mut Reader<'_>) -> Read<Model> {
    let dir = r.checked("model.dir", |dir| if dir.is_empty() { Err("a path") } else { Ok(()) });
    let name = r.checked("model.name", check_model);
    let runtime = r.path("model.runtime");
    let cache = r.path("model.cache");
    Ok(Model { dir: dir?.into(), name: name?, runtime: runtime?, cache: cache? })
}

/// A model's name is a folder's, and must not lead out of the one it is in.
fn check_model(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.starts_with('.') || name.contains('/') {
        return Err("a model's name: not empty, without / and with no dot at its start");
    }
    Ok(())
}

fn inference(r: &mut Reader<'_>) -> Read<Inference> {
    let workers = r.count_or_auto("inference.workers", 64);
    let threads_per_worker = r.count_or_auto("inference.threads_per_worker", 64);
    let precision = [("auto", None), ("fp32", Some(Precision::Fp32)), ("int8", Some(Precision::Int8))];
    let precision = r.choice("inference.precision", &precision);
    let spinning = r.choice("inference.spinning", &[("auto", None), ("on", Some(true)), ("off", Some(false))]);
    let max_age = r.milliseconds("inference.max_age_ms", 10..=3_600_000);
    let max_cameras = r.whole("inference.max_cameras", 1..=100_000, "");
    let queue_bytes = queue_bytes(r);
    let request_queue = r.whole("inference.request_queue", 1..=1000, "");
    let repeats = repeats(r);
    Ok(Inference {
        workers: workers?,
        threads_per_worker: threads_per_worker?,
        precision: precision?,
        spinning: spinning?,
        max_age: max_age?,
        max_cameras: max_cameras?,
        queue_bytes: queue_bytes?,
        request_queue: request_queue?,
        repeats: repeats?,
    })
}

fn repeats(r: &mut Reader<'_>) -> Read<Repeats> {
    let choices = [("off", Repeating::Off), ("identical", Repeating::Identical), ("alike", Repeating::Alike)];
    let of = r.choice("inference.repeats", &choices);
    let max_age = r.real("inference.repeats_max_age_s", 0.1..=3600.0).map(Duration::from_secs_f32);
    let alike_below = r.real("inference.repeats_alike_below", 0.1..=50.0);
    Ok(Repeats { of: of?, max_age: max_age?, alike_below: alike_below? })
}

/// The queue must have room for the largest frame, or that one could never be classified.
fn queue_bytes(r: &mut Reader<'_>) -> Read<usize> {
    let queue = r.whole::<usize>("inference.queue_bytes", 65_536..=4_294_967_295, "bytes")?;
    // A packet size that is out of its range has been reported with its section.
    let packet = r.peek_whole("mqtt.max_packet_bytes").filter(|packet| (65_536..=MAX_PACKET).contains(packet));
    match packet.map(usize::try_from) {
        Some(Ok(packet)) if packet > queue => Err(if r.is_default("inference.queue_bytes") {
            r.wrong("mqtt.max_packet_bytes", format!("at most inference.queue_bytes, which is {queue}"))
        } else {
            r.wrong("inference.queue_bytes", format!("at least mqtt.max_packet_bytes, which is {packet}"))
        }),
        _ => Ok(queue),
    }
}

fn decode(r: &mut Reader<'_>) -> Read<Decode> {
    let max_bytes = r.whole("decode.max_bytes", 1024..=MAX_PACKET, "bytes");
    let max_pixels = r.whole("decode.max_pixels", 1024..=1_000_000_000, "pixels");
    // 0 is the one value below 1 that may stand there.
    let oversample = r.real("decode.oversample", 0.0..=8.0).and_then(|pixels| match pixels {
        0.0 => Ok(None),
        1.0.. => Ok(Some(pixels)),
        _ => Err(r.wrong("decode.oversample", "1 to 8, or 0 to leave it to `glanced tune`")),
    });
    Ok(Decode { max_bytes: max_bytes?, max_pixels: max_pixels?, oversample: oversample? })
}

fn store(r: &mut Reader<'_>) -> Read<Store> {
    let dir = r.path("store.dir");
    let max_bytes = r.whole("store.max_bytes", 16_777_216..=1_125_899_906_842_624, "bytes");
    let drop_labelled = r.truth("store.drop_labelled");
    let hold_bytes = r.whole("store.hold_bytes", 0..=4_294_967_295, "bytes");
    let hold = r.seconds("store.hold_s", 1..=86_400);
    let collect = collect(r);
    Ok(Store {
        dir: dir?,
        max_bytes: max_bytes?,
        drop_labelled: drop_labelled?,
        hold_bytes: hold_bytes?,
        hold: hold?,
        collect: collect?,
    })
}

fn collect(r: &mut Reader<'_>) -> Read<Collect> {
    let on = r.truth("store.collect");
    let margin_below = r.fraction("store.collect_margin_below");
    let unlike = r.whole("store.collect_unlike", 1..=32, "bits");
    let per_day = r.whole("store.collect_per_day", 1..=1000, "frames");
    let sure_per_day = r.whole("store.collect_sure_per_day", 0..=1000, "frames");
    let per_day_in_all = r.whole("store.collect_per_day_in_all", 1..=100_000, "frames");
    Ok(Collect {
        on: on?,
        margin_below: margin_below?,
        unlike: unlike?,
        per_day: per_day?,
        sure_per_day: sure_per_day?,
        per_day_in_all: per_day_in_all?,
    })
}

fn learn(r: &mut Reader<'_>) -> Read<Learn> {
    let auto = r.truth("learn.auto");
    let quiet_from = clock(r, "learn.quiet_from");
    let quiet_until = clock(r, "learn.quiet_until");
    let min_new = r.whole("learn.min_new", 1..=100_000, "frames");
    let promote = r.truth("learn.promote");
    Ok(Learn { auto: auto?, quiet_from: quiet_from?, quiet_until: quiet_until?, min_new: min_new?, promote: promote? })
}

fn clock(r: &mut Reader<'_>, key: &'static str) -> Read<Time> {
    match r.optional(key)? {
        Some(text) => text.parse().map_err(|_| r.wrong(key, r#"an hour and a minute, as in "01:30""#)),
        None => Err(r.wrong(key, r#"an hour and a minute, as in "01:30""#)),
    }
}

fn homeassistant(r: &mut Reader<'_>) -> Read<HomeAssistant> {
    let discovery = r.truth("homeassistant.discovery");
    let prefix = r.checked("homeassistant.prefix", |prefix| check_name(prefix, true));
    let every = r.seconds("homeassistant.every_s", 1..=86_400);
    let images = r.truth("homeassistant.images");
    let forget_after = r.seconds("homeassistant.forget_after_s", 1..=31_536_000);
    Ok(HomeAssistant {
        discovery: discovery?,
        prefix: prefix?,
        every: every?,
        images: images?,
        forget_after: forget_after?,
    })
}

fn http(r: &mut Reader<'_>) -> Read<Http> {
    let listen = match r.optional("http.listen") {
        Ok(None) => Ok(None),
        Ok(Some(text)) => text.parse::<SocketAddr>().map(Some).map_err(|_| {
            r.wrong(
                "http.listen",
                r#"an address and a port, as in "127.0.0.1:8080" or "[::1]:8080", or "" for no HTTP"#,
            )
        }),
        Err(reported) => Err(reported),
    };
    let token = r.secret("http.token_file");
    if let Ok(Some(token)) = &token {
        check_token(r, token)?;
    }
    if let Ok(Some(address)) = listen
        && !address.ip().is_loopback()
        && !r.is_set("http.token_file")
    {
        r.rule("http.listen", format!("is {address}, which others can reach, so http.token_file must be set"));
    }
    Ok(Http { listen: listen?, token: token? })
}

fn check_token(r: &mut Reader<'_>, token: &Secret) -> Read<()> {
    let token = token.expose();
    // What can't stand in a header could never be sent.
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(r.rule("http.token_file", "names a file with more than visible ASCII characters in its one line"));
    }
    if token.len() < MIN_TOKEN {
        return Err(r.rule("http.token_file", format!("names a file with fewer than {MIN_TOKEN} characters")));
    }
    Ok(())
}

fn log(r: &mut Reader<'_>) -> Read<Log> {
    let level = r.checked("log.level", check_level);
    let format = r.choice("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
    Ok(Log { level: level?, format: format? })
}

fn sources(given: &[GivenSource], model: Option<&Model>, files: Files, problems: &mut Problems) -> Vec<Source> {
    let mut sources: Vec<(String, &GivenSource, Source)> = Vec::with_capacity(given.len());
    for (index, source) in given.iter().enumerate() {
        let name = format!("sources[{index}]");
        let mut r = Reader::new(&source.keys, &name, files, problems);
        let read = self::source(&mut r);
        debug_assert_eq!(r.forgotten(), None, "a source's key in the default file that nothing reads");
        if let Ok(read) = read {
            sources.push((name, source, read));
        }
    }

    let mut seen = HashMap::new();
    for (name, given, source) in &sources {
        let crop = source.crop.map(|crop| [crop.x, crop.y, crop.w, crop.h].map(f32::to_bits));
        // To name the default model is to use the same as one that names none.
        let model = source.model.as_deref().or(model.map(|model| model.name.as_str()));
        if let Some(first) = seen.insert((&source.topic, &source.camera, crop, model), name) {
            problems.rule(&given.place, name, format!("repeats {first}: topic, camera, crop and model are the same"));
        }
    }
    sources.into_iter().map(|(_, _, source)| source).collect()
}

/// A group's name is a level of a subscription.
fn check_group(group: &str) -> Result<(), &'static str> {
    if group.contains(['/', '+', '#']) { Err("a name without / + #") } else { Ok(()) }
}

fn source(r: &mut Reader<'_>) -> Read<Source> {
    let topic = r.checked("topic", check_filter);
    let camera = match (r.optional("camera"), topic.as_ref().map_err(|reported| *reported)) {
        (Ok(text), Ok(topic)) => {
            CameraName::parse(&text.unwrap_or_default(), topic).map_err(|allowed| r.wrong("camera", allowed))
        }
        // Levels can't be judged against a topic that is wrong itself.
        (Err(reported), _) | (_, Err(reported)) => Err(reported),
    };
    let encoding = r.choice(
        "encoding",
        &[("auto", Encoding::Auto), ("raw", Encoding::Raw), ("base64", Encoding::Base64), ("json", Encoding::Json)],
    );
    let crop = r.list("crop").and_then(|items| {
        Crop::parse(items).map_err(|()| {
            r.wrong("crop", "[x, y, w, h] with x and y from 0 to 1, w and h from 0.001 to 1, inside the frame")
        })
    });
    let model = r.optional_checked("model", check_model);
    let shared_group = r.optional_checked("shared_group", check_group);
    let allow_retained = r.truth("allow_retained");
    let qos = r.whole("qos", 0..=1, "");
    Ok(Source {
        topic: topic?,
        camera: camera?,
        encoding: encoding?,
        crop: crop?,
        model: model?,
        shared_group: shared_group?,
        allow_retained: allow_retained?,
        qos: qos?,
    })
}
