//! Where answers may go.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::router::Router;

/// Knows where answers may go. Clones are one: what [`ReplyGuard::follow`] tells to one of them, all know.
#[derive(Clone, Debug)]
pub struct ReplyGuard {
    listened: Arc<ArcSwap<Vec<String>>>,
}

impl ReplyGuard {
    /// Answers go anywhere but to what `router` listens to.
    #[must_use]
    pub fn new(router: &Router) -> Self {
        Self { listened: Arc::new(ArcSwap::from_pointee(router.listened())) }
    }

    /// Another router's topics are listened to from now on.
    pub fn follow(&self, router: &Router) {
        self.listened.store(Arc::new(router.listened()));
    }

    /// Whether an answer may be published there.
    ///
    /// # Errors
    /// Why not: a topic of wildcards is none, and one that this node listens to would be answered again, for ever.
    pub fn check(&self, topic: &str) -> Result<(), String> {
        if topic.is_empty() || topic.len() > usize::from(u16::MAX) || topic.contains(['+', '#', '\0']) {
            return Err(format!("the response topic {:?} is no topic name", shorten(topic)));
        }
        if self.listened.load().iter().any(|filter| rumqttc::matches(topic, filter)) {
            return Err(format!("the response topic {:?} is one that this node listens to", shorten(topic)));
        }
        Ok(())
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(toml: &str) -> Router {
        Router::new(&crate::config::parse_str(toml).unwrap().config, |model| usize::from(model.is_some()))
    }

    #[test]
    fn answers_go_nowhere_that_would_be_answered_again() {
        let guard = ReplyGuard::new(&router(""));
        assert_eq!(guard.check("me/answers"), Ok(()));
        for topic in ["", "a/+/b", "a/#", "glanced/classify", "cameras/x/frame"] {
            assert!(guard.check(topic).is_err(), "{topic:?}");
        }
        // Whoever holds one knows of another configuration.
        guard.clone().follow(&router("[[sources]]\ntopic = \"new/+\"\n"));
        assert_eq!(guard.check("cameras/x/frame"), Ok(()));
        assert!(guard.check("new/x").is_err());
    }
}
