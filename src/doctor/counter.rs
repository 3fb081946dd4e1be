//! The counter: where those are answered who work in a clinic without a server,
//! assistants and auditors. What they write goes into the books, and the doctors'
//! nodes, which hear of it, give it to the patients.

use std::collections::HashSet;

use crate::doctor::audit_log;
use crate::doctor::control::{Answer, Request};
use crate::doctor::desk::{answer_to, clinic, letter_to, letter_to_several};
use crate::doctor::not_done::NotDone;
use crate::doctor::office;
use crate::doctor::post::{self, Letter, Recipients, SendError, Sent};
use crate::doctor::practice::Practice;
use crate::doctor::presence;
use crate::doctor::roles;
use crate::identity::certificate::Fingerprint;

/// Does what is asked and says what came of it. What is logged of it is vouched
/// for at once: no server does so later.
#[must_use]
pub fn answer(practice: &Practice, request: Request) -> Answer {
    if let Err(refusal) = roles::check(practice, &request) {
        return Answer::Failed(NotDone::of(&refusal));
    }
    let answer = answered(practice, request);
    // What was done is done; the next one signs for it, too.
    let _ = audit_log::sign_head(practice);
    answer
}

fn answered(practice: &Practice, request: Request) -> Answer {
    match request {
        Request::List | Request::ListClinic => clinic(practice),
        Request::Broadcast(broadcast) => match letter_to_several(&broadcast) {
            Ok(letter) => {
                // She has no patients of her own.
                let to = of_clinic(letter.to);
                send(practice, &Letter { to, ..letter })
            }
            Err(sentence) => Answer::Failed(sentence.into()),
        },
        Request::Message {
            patient,
            text,
            urgent,
            expires_seconds,
        } => match letter_to(&patient, &text, urgent, expires_seconds) {
            Ok(letter) => send(practice, &letter),
            Err(sentence) => Answer::Failed(sentence.into()),
        },
        Request::Consult { .. } | Request::Blocks(_) | Request::Disconnect | Request::Stop => {
            Answer::Failed("this is asked of a running server".to_owned().into())
        }
        Request::Office(request) => Answer::Office(office::answer(practice, request)),
    }
}

fn of_clinic(to: Recipients) -> Recipients {
    match to {
        Recipients::Everyone => Recipients::Clinic,
        to => to,
    }
}

fn send(practice: &Practice, letter: &Letter<'_>) -> Answer {
    answer_to(practice, letter, put(practice, letter))
}

/// Puts a letter into the books. Those who are connected somewhere are given it in
/// a moment.
fn put(practice: &Practice, letter: &Letter<'_>) -> Result<Sent, SendError> {
    let now = practice.now();
    let message = post::written(practice, letter, now)?;
    let entered = post::enter(practice, letter, &message, now)?;
    let devices: HashSet<Fingerprint> = entered.devices.iter().map(|(id, _)| *id).collect();
    // It is in the books whatever is known of who is connected.
    let elsewhere = presence::elsewhere(practice, &devices).unwrap_or(0);
    Ok(Sent {
        number: entered.row.number,
        code: message.id().code(),
        devices: 0,
        elsewhere,
        away: devices.len().saturating_sub(elsewhere),
        epoch: 0,
        left_out: entered.left_out,
    })
}
