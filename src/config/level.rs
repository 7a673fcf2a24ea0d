//! The rule for `log.level`.

/// The words for a level, as tracing has them.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks a filter directive: a level, or several `target=level` after commas.
///
/// tracing itself takes any word for a module's name, so that `inof` would silently log next to nothing.
///
/// # Errors
/// What it must be, to be read after "must be".
pub(super) fn check_level(directive: &str) -> Result<(), &'static str> {
    let level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let known = directive.split(',').map(str::trim).all(|part| match part.rsplit_once('=') {
        Some((target, word)) => !target.is_empty() && level(word),
        None => level(part),
    });
    // Span filters, as in `target[span{field=value}]=level`, may have commas inside: left for tracing to judge.
    let spans = directive.contains('[') && directive.contains('=');
    if known || spans {
        Ok(())
    } else {
        Err("off, error, warn, info, debug or trace, or a list such as \"info,glanced::mqtt=debug\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_told_from_slips() {
        for (directive, want) in [
            ("info", true),
            ("WARN", true),
            ("info,glanced::mqtt=debug", true),
            ("info, glanced=trace", true),
            ("off,glanced[frame{camera=\"a,b\"}]=trace", true),
            ("", false),
            ("inof", false),
            ("glanced", false),
            ("glanced=loud", false),
            ("=info", false),
            ("info,", false),
        ] {
            assert_eq!(check_level(directive).is_ok(), want, "{directive:?}");
        }
    }
}
