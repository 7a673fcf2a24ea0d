//! What is asked of a node.

use super::proto::{AttributeProto, NodeProto, TensorProto};

impl NodeProto {
    /// How messages call it: what it does, and its name, or that of its output.
    pub(crate) fn describe(&self) -> String {
        let name = self.name.as_ref().filter(|name| !name.is_empty()).or(self.output.first());
        format!("{} {:?}", self.op_type(), name.map_or("", String::as_str))
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|attribute| attribute.name() == name)
    }

    /// An attribute that is a whole number.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.attribute(name)?.i
    }

    /// An attribute that is a number.
    pub(crate) fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name)?.f
    }

    /// An attribute that is a list of whole numbers.
    pub(crate) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| &attribute.ints[..])
    }

    /// An attribute that is a word.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.attribute(name)?.s.as_ref()?).ok()
    }

    /// An attribute that is a tensor.
    pub(crate) fn tensor(&self, name: &str) -> Option<&TensorProto> {
        self.attribute(name)?.t.as_ref()
    }

    /// An input that may be left out.
    pub(crate) fn input(&self, number: usize) -> Option<&str> {
        self.input.get(number).map(String::as_str).filter(|name| !name.is_empty())
    }
}
