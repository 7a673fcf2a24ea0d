//! Messages of the broker's session that it has not been told are done with.
//!
//! The session outlives connections: what was not acknowledged comes again over the next one, under the same number. What
//! is still in hand then is not taken twice, and what was finished meanwhile is acknowledged when it comes.

use std::collections::HashMap;

/// One message. Brokers use packet numbers again: the number alone could be another's by the time it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    packet: u16,
    serial: u64,
}

/// What a delivered message is to us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// To be taken.
    New(Ticket),
    /// In hand already; its acknowledgement will follow.
    InHand,
    /// Finished before it came again: to be acknowledged at once.
    Finished,
}

/// What is delivered and not acknowledged, by packet number: at most 65,535.
#[derive(Debug, Default)]
pub(super) struct Session {
    open: HashMap<u16, Open>,
    /// Counts connections. An acknowledgement goes out only after the message came over that same connection: before, a
    /// broker does not expect it.
    connection: u64,
    serial: u64,
}

#[derive(Debug)]
struct Open {
    serial: u64,
    connection: u64,
    finished: bool,
}

impl Session {
    /// A connection is made. Unless the broker has kept the session, its numbers mean nothing any more.
    pub(super) fn connected(&mut self, kept: bool) {
        if !kept {
            self.open.clear();
        }
    }

    /// The connection is gone.
    pub(super) fn lost(&mut self) {
        self.connection += 1;
    }

    /// A message has come; `again` if the broker says that it did so before.
    pub(super) fn delivered(&mut self, packet: u16, again: bool) -> Delivery {
        if again && let Some(open) = self.open.get_mut(&packet) {
            // Twice over one connection: the acknowledgement is on its way already.
            let elsewhere = std::mem::replace(&mut open.connection, self.connection) != self.connection;
            return if open.finished && elsewhere { Delivery::Finished } else { Delivery::InHand };
        }
        self.serial += 1;
        let open = Open { serial: self.serial, connection: self.connection, finished: false };
        self.open.insert(packet, open);
        Delivery::New(Ticket { packet, serial: self.serial })
    }

    /// A message was not taken after all; when it comes again it is new.
    pub(super) fn passed_over(&mut self, ticket: Ticket) {
        if self.open.get(&ticket.packet).is_some_and(|open| open.serial == ticket.serial) {
            self.open.remove(&ticket.packet);
        }
    }

    /// A message is done with. Returns the number to be acknowledged now, if it is one.
    pub(super) fn finished(&mut self, ticket: Ticket) -> Option<u16> {
        let open = self.open.get_mut(&ticket.packet).filter(|open| open.serial == ticket.serial)?;
        open.finished = true;
        (open.connection == self.connection).then_some(ticket.packet)
    }

    /// The acknowledgement was sent.
    pub(super) fn acknowledged(&mut self, packet: u16) {
        self.open.remove(&packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(session: &mut Session, packet: u16) -> Ticket {
        match session.delivered(packet, false) {
            Delivery::New(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_in_hand_when_it_comes_again_is_acknowledged_over_the_new_connection() {
        let mut session = Session::default();
        session.connected(true);
        let (first, second, third) = (new(&mut session, 1), new(&mut session, 2), new(&mut session, 3));
        session.lost();
        // The broker does not expect it before it has sent it again.
        assert_eq!(session.finished(first), None);
        session.connected(true);
        assert_eq!(session.finished(second), None);
        assert_eq!(session.delivered(1, true), Delivery::Finished);
        assert_eq!(session.delivered(2, true), Delivery::Finished);
        assert_eq!(session.delivered(3, true), Delivery::InHand);
        assert_eq!(session.finished(third), Some(3));
        // Once is enough.
        assert_eq!(session.delivered(3, true), Delivery::InHand);
    }

    #[test]
    fn an_acknowledgement_that_was_not_sent_is_repeated_and_one_that_was_is_forgotten() {
        let mut session = Session::default();
        let (first, second) = (new(&mut session, 1), new(&mut session, 2));
        assert_eq!((session.finished(first), session.finished(second)), (Some(1), Some(2)));
        session.acknowledged(1);
        session.lost();
        session.connected(true);
        assert_eq!(session.delivered(2, true), Delivery::Finished);
        assert!(matches!(session.delivered(1, true), Delivery::New(_)), "the broker can't have got it");
    }

    #[test]
    fn a_number_used_again_is_another_message() {
        let mut session = Session::default();
        let old = new(&mut session, 1);
        session.lost();
        session.connected(false);
        assert_eq!(session.finished(old), None);
        let young = new(&mut session, 1);
        assert_eq!(session.finished(old), None);
        session.passed_over(old);
        assert_eq!(session.finished(young), Some(1));
        // In the same session too, if the broker has dropped the old one.
        let third = new(&mut session, 1);
        assert_eq!((session.finished(young), session.finished(third)), (None, Some(1)));
    }

    #[test]
    fn what_was_passed_over_is_new_when_it_comes_again() {
        let mut session = Session::default();
        let ticket = new(&mut session, 1);
        session.passed_over(ticket);
        session.lost();
        assert!(matches!(session.delivered(1, true), Delivery::New(_)));
    }
}
