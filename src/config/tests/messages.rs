//! The exact message of everything that can be wrong in a file.

use super::{parse_str, wrong};

/// A file, and what is said about it.
const MESSAGES: &[(&str, &str)] = &[
    // Not TOML.
    ("[mqtt]\nurl = ", "config.toml:2: string values must be quoted, expected literal string"),
    ("[mqtt]\nnode = \"a\"\nnode = \"b\"", "config.toml:3: duplicate key"),
    // Unknown keys.
    ("\n[mqtt]\nurll = \"x\"", "config.toml:3: unknown key mqtt.urll, did you mean mqtt.url?"),
    ("[mqt]\nurl = \"x\"", "config.toml:1: unknown key mqt, did you mean mqtt?"),
    ("[mqtt]\nworkers = 2", "config.toml:2: unknown key mqtt.workers, did you mean inference.workers?"),
    ("colour = 1", "config.toml:1: unknown key colour"),
    ("\"mqtt.url\" = 1", "config.toml:1: unknown key \"mqtt.url\", did you mean mqtt.url?"),
    ("mqtt.url.host = \"x\"", "config.toml:1: mqtt.url is a table, but must be a string"),
    ("[[sources]]\ntopic = \"a/b\"\ncrops = []", "config.toml:3: unknown key sources[0].crops, did you mean crop?"),
    // Wrong types.
    ("[mqtt]\nurl = 1", "config.toml:2: mqtt.url is 1, but must be a string"),
    ("mqtt = 1", "config.toml:1: mqtt is 1, but must be a section, written [mqtt]"),
    ("[mqtt]\nkeep_alive_s = \"30\"", "config.toml:2: mqtt.keep_alive_s is \"30\", but must be a whole number"),
    ("[mqtt]\nkeep_alive_s = 5.5", "config.toml:2: mqtt.keep_alive_s is 5.5, but must be a whole number"),
    ("[mqtt]\nretain_results = 1", "config.toml:2: mqtt.retain_results is 1, but must be true or false"),
    (
        "[mqtt]\nkeep_alive_s = 99999999999999999999",
        "config.toml:2: mqtt.keep_alive_s is 99999999999999999999, but must be a whole number",
    ),
    ("[classify]\nunknown_below = \"x\"", "config.toml:2: classify.unknown_below is \"x\", but must be a number"),
    (
        "[sources]\ntopic = \"a\"",
        "config.toml:1: sources is a table, but must be a list of tables, each written [[sources]]",
    ),
    ("sources = [1]", "config.toml:1: sources[0] is 1, but must be a list of tables, each written [[sources]]"),
    // Out of range.
    ("[mqtt]\nkeep_alive_s = 4", "config.toml:2: mqtt.keep_alive_s is 4, but must be 5 to 600 seconds"),
    ("[inference]\nmax_age_ms = 9", "config.toml:2: inference.max_age_ms is 9, but must be 10 to 3600000 milliseconds"),
    (
        "[inference]\nrepeats = \"on\"",
        "config.toml:2: inference.repeats is \"on\", but must be \"off\" or \"identical\" or \"alike\"",
    ),
    (
        "[inference]\nrepeats_max_age_s = 0.0",
        "config.toml:2: inference.repeats_max_age_s is 0.0, but must be 0.1 to 3600",
    ),
    (
        "[inference]\nrepeats_alike_below = 50.5",
        "config.toml:2: inference.repeats_alike_below is 50.5, but must be 0.1 to 50",
    ),
    ("[inference]\nworkers = -1", "config.toml:2: inference.workers is -1, but must be 0 to 64"),
    ("[classify]\nunknown_below = 1.5", "config.toml:2: classify.unknown_below is 1.5, but must be 0 to 1"),
    ("[classify]\nunknown_below = nan", "config.toml:2: classify.unknown_below is NaN, but must be 0 to 1"),
    ("[mqtt]\nprotocol = \"4\"", "config.toml:2: mqtt.protocol is \"4\", but must be \"5\" or \"3.1.1\""),
    ("[log]\nformat = \"\"", "config.toml:2: log.format is \"\", but must be \"text\" or \"json\""),
    (
        "[log]\nlevel = \"inof\"",
        "config.toml:2: log.level is \"inof\", but must be off, error, warn, info, debug or trace, or a list such as \"info,glanced::mqtt=debug\"",
    ),
    (
        "[mqtt]\nurl = \"http://x\"",
        "config.toml:2: mqtt.url is \"http://x\", but must be mqtt://HOST[:PORT], or mqtts://HOST[:PORT] for TLS",
    ),
    (
        "[mqtt]\nurl = \"mqtt://me:secret@x\"",
        "config.toml:2: mqtt.url is \"mqtt://***@x\", but must be without a user name and password: those belong into mqtt.username and mqtt.password_file",
    ),
    (
        "[mqtt]\nclient_id = \"a\\u0000\"",
        "config.toml:2: mqtt.client_id is \"a\\u0000\", but must be at most 65535 bytes, without control characters",
    ),
    (
        "[mqtt]\nprefix = \"/a\"",
        "config.toml:2: mqtt.prefix is \"/a\", but must be 1 to 256 bytes without + and #, with no $ at its start and no / at either end",
    ),
    (
        "[mqtt]\nnode = \"a/b\"",
        "config.toml:2: mqtt.node is \"a/b\", but must be 1 to 256 bytes without / + # and with no $ at its start",
    ),
    (
        "[model]\nname = \"../x\"",
        "config.toml:2: model.name is \"../x\", but must be a model's name: not empty, without / and with no dot at its start",
    ),
    ("[model]\ndir = \"\"", "config.toml:2: model.dir is \"\", but must be a path"),
    (
        "[http]\nlisten = \"localhost\"",
        "config.toml:2: http.listen is \"localhost\", but must be an address and a port, as in \"127.0.0.1:8080\" or \"[::1]:8080\", or \"\" for no HTTP",
    ),
    ("[store]\ncollect = 1", "config.toml:2: store.collect is 1, but must be true or false"),
    (
        "[store]\ncollect_margin = 0.1",
        "config.toml:2: unknown key store.collect_margin, did you mean store.collect_margin_below?",
    ),
    ("[store]\ncollect_margin_below = 5", "config.toml:2: store.collect_margin_below is 5.0, but must be 0 to 1"),
    ("[store]\ncollect_unlike = 0", "config.toml:2: store.collect_unlike is 0, but must be 1 to 32 bits"),
    ("[store]\ncollect_per_day = 0", "config.toml:2: store.collect_per_day is 0, but must be 1 to 1000 frames"),
    // Rules between keys.
    (
        "[http]\nlisten = \"0.0.0.0:80\"",
        "config.toml:2: http.listen is 0.0.0.0:80, which others can reach, so http.token_file must be set",
    ),
    (
        "[mqtt]\nca_file = \"/x\"",
        "config.toml:2: mqtt.ca_file is only for mqtts://, but mqtt.url is mqtt://127.0.0.1:1883",
    ),
    ("[mqtt]\nurl = \"mqtts://x\"\ncert_file = \"/x\"", "config.toml:3: mqtt.cert_file needs mqtt.key_file too"),
    ("[mqtt]\nurl = \"mqtts://x\"\nkey_file = \"/x\"", "config.toml:3: mqtt.key_file needs mqtt.cert_file too"),
    ("[mqtt]\npassword_file = \"/x\"", "config.toml:2: mqtt.password_file needs mqtt.username too"),
    (
        "[mqtt]\nurl = \"mqtt://10.0.0.1\"\nembedded_broker = true",
        "config.toml:3: mqtt.embedded_broker needs mqtt:// on a loopback address, but mqtt.url is mqtt://10.0.0.1:1883",
    ),
    (
        "[inference]\nqueue_bytes = 65536",
        "config.toml:2: inference.queue_bytes is 65536, but must be at least mqtt.max_packet_bytes, which is 16777216",
    ),
    (
        "[mqtt]\nmax_packet_bytes = 100000000",
        "config.toml:2: mqtt.max_packet_bytes is 100000000, but must be at most inference.queue_bytes, which is 67108864",
    ),
    // Sources.
    ("\n[[sources]]\nqos = 1", "config.toml:2: sources[0] has no topic"),
    (
        "[[sources]]\ntopic = \"a/b+\"",
        "config.toml:2: sources[0].topic is \"a/b+\", but must be a filter with + only as a whole level",
    ),
    (
        "[[sources]]\ntopic = \"$share/g/a\"",
        "config.toml:2: sources[0].topic is \"$share/g/a\", but must be a filter without $share/: set shared_group to the group's name",
    ),
    (
        "[[sources]]\ntopic = \"a/b\"\ncamera = \"{2}\"",
        "config.toml:3: sources[0].camera is \"{2}\", but must be {0} to {1}, the levels of \"a/b\"",
    ),
    (
        "[[sources]]\ntopic = \"a/b\"\ncrop = [0.5, 0, 0.6, 1]",
        "config.toml:3: sources[0].crop is [0.5, 0, 0.6, 1], but must be [x, y, w, h] with x and y from 0 to 1, w and h from 0.001 to 1, inside the frame",
    ),
    (
        "[[sources]]\ntopic = \"a/b\"\nshared_group = \"x/y\"",
        "config.toml:3: sources[0].shared_group is \"x/y\", but must be a name without / + #",
    ),
    ("[[sources]]\ntopic = \"a/b\"\nqos = 2", "config.toml:3: sources[0].qos is 2, but must be 0 to 1"),
    (
        "[[sources]]\ntopic = \"a/b\"\n[[sources]]\ntopic = \"a/b\"\nmodel = \"efficientnet-lite0\"",
        "config.toml:3: sources[1] repeats sources[0]: topic, camera, crop and model are the same",
    ),
];

#[test]
fn every_problem_has_its_exact_message() {
    for (toml, want) in MESSAGES {
        assert_eq!(wrong(parse_str(toml)), *want, "for {toml:?}");
    }
}
