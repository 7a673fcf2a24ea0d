//! `glanced check`: is everything there that `run` needs?

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::Failure;
use crate::app::{self, Models};
use crate::classify::session::Runtime;
use crate::cli::{Check, Settings};
use crate::config::Config;
use crate::frame::Route;
use crate::frame::pipeline::Pipeline;
use crate::frame::steps::{Occasion, Steps};
use crate::model::Bundle;
use crate::mqtt;
use crate::tune::Tuning;

#[derive(Serialize)]
struct Report {
    ok: bool,
    checks: Vec<Finding>,
}

#[derive(Serialize)]
struct Finding {
    name: String,
    ok: bool,
    detail: String,
}

impl Finding {
    fn new(name: impl Into<String>, result: Result<String, String>) -> Self {
        let (ok, detail) = match result {
            Ok(detail) => (true, detail),
            Err(detail) => (false, detail),
        };
        Self { name: name.into(), ok, detail }
    }
}

pub(super) fn check(args: &Check, settings: &Settings) -> Result<(), Failure> {
    let config = super::load(settings)?.config;
    let mut checks = vec![Finding::new("configuration", Ok("valid".to_owned()))];
    checks.extend(check_models(&config));
    if !args.no_broker {
        checks.push(check_broker(&config)?);
    }
    let report = Report { ok: checks.iter().all(|finding| finding.ok), checks };
    if args.json {
        super::print_json(&report)?;
    } else {
        let lines = report
            .checks
            .iter()
            .map(|Finding { name, ok, detail }| format!("{:6} {name}: {detail}\n", if *ok { "ok" } else { "FAILED" }));
        super::print(&lines.collect::<String>())?;
    }
    if report.ok { Ok(()) } else { Err(Failure::Said(69)) }
}

fn check_models(config: &Config) -> Vec<Finding> {
    let runtime = app::runtime(&config.model).map_err(|error| error.to_string());
    let models = Models::open(config).map_err(|error| error.to_string());
    let shown = runtime.as_ref().map(|runtime| runtime.path().display().to_string()).map_err(Clone::clone);
    let mut findings = vec![Finding::new("ONNX Runtime", shown)];
    match (&models, &runtime) {
        (Err(error), _) => findings.push(Finding::new("models", Err(error.clone()))),
        (Ok(_), Err(_)) => findings.push(Finding::new("models", Err("not tried without ONNX Runtime".to_owned()))),
        (Ok(models), Ok(runtime)) => {
            for bundle in models.bundles() {
                let name = format!("model {} {}", bundle.name, bundle.version);
                findings.push(Finding::new(name, try_model(config, runtime, bundle)));
            }
        }
    }
    findings
}

/// Loads the model and looks at one picture, all grey.
fn try_model(config: &Config, runtime: &Runtime, bundle: &Arc<Bundle>) -> Result<String, String> {
    let computing = Tuning::new(config, runtime).computing(bundle).map_err(|error| error.to_string())?;
    let limits = app::decode_limits(&config.decode);
    let start = Instant::now();
    let mut pipeline =
        Pipeline::new(runtime, &[Arc::clone(bundle)], computing, limits).map_err(|error| error.to_string())?;
    let loaded = start.elapsed();
    let mut picture = std::io::Cursor::new(Vec::new());
    image::GrayImage::from_pixel(bundle.input.width, bundle.input.height, image::Luma([128]))
        .write_to(&mut picture, image::ImageFormat::Png)
        .map_err(|error| error.to_string())?;
    let glance = pipeline
        .classify(&picture.into_inner(), &Route::WHOLE, &Steps::default(), Occasion::default())
        .map_err(|error| error.to_string())?;
    Ok(format!(
        "{} classes, {}, loaded in {} ms, one inference {:.1} ms",
        bundle.labels.len(),
        computing.precision.name(),
        loaded.as_millis(),
        glance.took.infer.as_secs_f64() * 1e3
    ))
}

fn check_broker(config: &Config) -> Result<Finding, Failure> {
    let name = format!("MQTT broker {}", config.mqtt.url);
    if config.mqtt.embedded_broker {
        return Ok(Finding::new(name, Ok("embedded: it starts with the daemon".to_owned())));
    }
    let connected = super::runtime()?.block_on(mqtt::probe(&config.mqtt));
    Ok(Finding::new(name, connected.map(|()| "connected".to_owned())))
}
