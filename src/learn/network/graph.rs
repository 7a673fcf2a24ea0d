//! Where a graph can be cut in two, and what its blocks are.

use std::collections::{HashMap, HashSet};

use crate::model::onnx::proto::NodeProto;
use crate::model::{Onnx, OnnxError};

/// All that lies on the way from the image to the features.
pub(super) struct Way<'a> {
    /// The graph's inputs that have no value of their own.
    images: HashSet<&'a str>,
    /// In an order in which they can be computed.
    pub(super) nodes: Vec<&'a NodeProto>,
    /// Where each block begins, from the first to the last: the number of the node whose output it takes.
    pub(super) blocks: Vec<usize>,
}

impl<'a> Way<'a> {
    /// A *joint* is a tensor that everything passes through. What lies between one and the next is a block if it holds a
    /// convolution: a whole residual block, or one convolution of a plain chain with what follows it. None begins with the
    /// image itself, for nothing would be left to be frozen.
    pub(super) fn find(onnx: &'a Onnx, features: &str) -> Result<Self, OnnxError> {
        let mut way = Self::between(onnx, features);
        if way.nodes.is_empty() {
            return Err(onnx.unfit(format!("the features {features:?} are not made from its image")));
        }
        let joints = way.joints(features);
        let pairs = joints.iter().zip(joints.iter().skip(1));
        let is_block =
            |start: usize, end: usize| way.nodes[start + 1..=end].iter().any(|node| node.op_type() == "Conv");
        way.blocks = pairs.filter(|&(&start, &end)| is_block(start, end)).map(|(&start, _)| start).collect();
        Ok(way)
    }

    /// What everything passes through behind a joint.
    pub(super) fn tensor_of(&self, joint: usize) -> &'a str {
        let mut outputs = self.nodes[joint].output.iter();
        let is_read = |output: &&String| self.nodes.iter().any(|node| node.input.contains(output));
        outputs.find(is_read).map_or("", String::as_str)
    }

    /// The nodes that are made from the image and that the features are made from.
    fn between(onnx: &'a Onnx, features: &str) -> Self {
        let graph = onnx.graph();
        let constants: HashSet<&str> = graph.initializer.iter().map(|tensor| tensor.name()).collect();
        let images: HashSet<&str> =
            graph.input.iter().map(|input| input.name()).filter(|name| !constants.contains(name)).collect();
        let mut made = images.clone();
        let mut nodes = Vec::new();
        // A file has its nodes in an order in which they can be computed.
        for node in &graph.node {
            if node.input.iter().any(|input| made.contains(input.as_str())) {
                made.extend(node.output.iter().map(String::as_str));
                nodes.push(node);
            }
        }
        let mut needed = HashSet::from([features]);
        nodes.reverse();
        nodes.retain(|node| {
            let is_needed = node.output.iter().any(|output| needed.contains(output.as_str()));
            if is_needed {
                needed.extend(node.input.iter().map(String::as_str));
            }
            is_needed
        });
        nodes.reverse();
        Self { images, nodes, blocks: Vec::new() }
    }

    /// The nodes whose output everything passes through: no edge leads from before one to behind it.
    fn joints(&self, features: &str) -> Vec<usize> {
        let mut last_reader: HashMap<&str, usize> = HashMap::new();
        for (at, node) in self.nodes.iter().enumerate() {
            last_reader.extend(node.input.iter().map(|input| (input.as_str(), at)));
        }
        last_reader.insert(features, self.nodes.len());
        // How far the edges reach that begin before a node.
        let mut reach = self.images.iter().filter_map(|image| last_reader.get(image)).copied().max().unwrap_or(0);
        let mut joints = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let readers: Vec<usize> =
                node.output.iter().filter_map(|output| last_reader.get(output.as_str())).copied().collect();
            if reach <= at && readers.len() == 1 {
                joints.push(at);
            }
            reach = readers.into_iter().fold(reach, usize::max);
        }
        joints
    }
}
