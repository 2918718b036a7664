//! A stream of events from a future that runs on by itself to a reader who may leave.
//!
//! It never buffers more than a few events: a slow reader slows the writer down, and so the model's stream.

use bytes::Bytes;
use futures_channel::mpsc;
use futures_util::StreamExt;
use serde::Serialize;

use super::encode;
use crate::platform::{Body, BodyError};

/// Events that may wait for the reader.
const WAITING: usize = 4;

/// The writing end, and the body of a response from which the events are read.
#[must_use]
pub fn channel() -> (Sender, Body) {
    let (sender, receiver) = mpsc::channel::<Bytes>(WAITING);
    (Sender(sender), Body::Stream(receiver.map(Ok::<Bytes, BodyError>).boxed_local()))
}

/// The writing end. Dropping it ends the stream.
pub struct Sender(mpsc::Sender<Bytes>);

/// Whether somebody still reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Somebody does.
    There,
    /// Nobody does: the connection is closed.
    Gone,
}

impl Sender {
    /// Sends one event when there is room for it.
    pub async fn send(&mut self, name: &'static str, data: &impl Serialize) -> Reader {
        self.send_bytes(encode(name, data)).await
    }

    /// Sends bytes that are written already, when there is room for them.
    pub async fn send_bytes(&mut self, bytes: Bytes) -> Reader {
        let room = std::future::poll_fn(|context| self.0.poll_ready(context)).await;
        if room.is_err() || self.0.start_send(bytes).is_err() { Reader::Gone } else { Reader::There }
    }

    /// Whether the reader has left.
    #[must_use]
    pub fn reader_left(&self) -> bool {
        self.0.is_closed()
    }
}
