//! The doctor's side of an enrolment.

use crate::codec::{DecodeError, Reader, Writer};
use crate::elgamal::{Element, Group, KemSecret, VerifyingKey};
use crate::framing::Frame;
use crate::handshake::doctor::{Context, unknown_prekey};
use crate::handshake::enrol::{self, TicketKey, check_code};
use crate::handshake::refusal::{Refusal, RefusalReason, alert_frame, refusal_frame};
use crate::handshake::registry::{Issued, KnownTicket, RegistryError, TicketRegistry, TicketUse};
use crate::handshake::schedule::{self, EarlySecret};
use crate::identity::certificate::{Certificate, VerifiedCertificate, fingerprint};
use crate::identity::ticket::TicketId;
use crate::kdf::{self, Prk, label};
use crate::protocol::opcode::ENROL;
use crate::protocol::record::Mac;
use crate::protocol::{AlertCode, SUITE, enrol_sub};
use crate::random::Random;
use crate::secret::{SecretBytes, ct_eq};
use crate::{aes, aes::SealingKey};

/// A patient whose enrolment is complete.
#[derive(Debug)]
pub struct Enrolled {
    /// Her certificate, active now.
    pub certificate: VerifiedCertificate,
    /// The code to compare over the phone.
    pub check_code: String,
}

/// E2 is sent; E3 is awaited.
#[derive(Debug)]
pub struct ExpectConfirmation {
    key: Prk,
    messages: [u8; 64],
    enrolled: Enrolled,
}

impl ExpectConfirmation {
    /// Takes E3, activates the certificate and makes E4, after which both
    /// close.
    ///
    /// # Errors
    /// [`Refusal`]: close.
    pub fn on_frame<R: TicketRegistry>(
        self,
        registry: &R,
        frame: &Frame,
    ) -> Result<(Frame, Enrolled), Refusal> {
        let expected = enrol::mac(&self.key, label::ENROL_CONFIRM, &[&self.messages]);
        let is_e3 = (frame.opcode(), frame.sub()) == (ENROL, enrol_sub::E3);
        if !is_e3 || !ct_eq(frame.body(), &expected) {
            return Err(RefusalReason::Unexpected.into());
        }
        registry.activate(&self.enrolled.certificate.subject().serial)?;
        let done = enrol::mac(&self.key, label::ENROL_DONE, &[&self.messages]);
        Ok((Frame::new(ENROL, enrol_sub::E4, &done), self.enrolled))
    }
}

/// Answers E1 with E2.
///
/// # Errors
/// [`Refusal`]: send its answer, if there is one, and close.
pub fn answer<R: TicketRegistry>(
    context: &Context<'_, R>,
    e1: &Frame,
    random: &mut dyn Random,
) -> Result<(Frame, ExpectConfirmation), Refusal> {
    let identity = context.identity;
    let group = identity.group();
    let request = Request::decode(e1, group.element_len())?;
    let Some(prekey) = identity.prekey(&request.prekey, context.now) else {
        return Err(unknown_prekey(identity, context.now));
    };
    let ticket = context.registry.ticket(&request.ticket);
    if matches!(ticket, Ok(None)) {
        return Err(RefusalReason::UnknownTicket.into());
    }
    let c1 = Element::from_bytes(group, request.c1).map_err(|_| RefusalReason::CannotBeOpened)?;
    let binding = schedule::binding(
        request.prefix,
        &identity.certificate.fingerprint(),
        &prekey.prekey.hash(),
    );
    let early = EarlySecret::new(group, &prekey.secret.agree(&c1), &binding);
    let content = early
        .enrol_box_key()
        .open(&[&binding], request.sealed)
        .map_err(|_| RefusalReason::CannotBeOpened)?;
    match issue_with(context, e1, &request, ticket, (&early, content), random) {
        // Whoever it is may come again later.
        Err(refusal) if matches!(refusal.reason, RefusalReason::Registry(_)) => {
            let form = (ENROL, enrol_sub::REFUSED);
            let code = AlertCode::Busy;
            let alert = alert_frame(&early, e1, form, code, context.now, random);
            Err(Refusal {
                answer: Some(alert),
                ..refusal
            })
        }
        done => done,
    }
}

/// The same for a request that was made for this doctor, with what it holds.
fn issue_with<R: TicketRegistry>(
    context: &Context<'_, R>,
    e1: &Frame,
    request: &Request<'_>,
    ticket: Result<Option<KnownTicket>, RegistryError>,
    (early, content): (&EarlySecret, SecretBytes),
    random: &mut dyn Random,
) -> Result<(Frame, ExpectConfirmation), Refusal> {
    let identity = context.identity;
    let group = identity.group();
    let ticket = ticket?.ok_or(RefusalReason::UnknownTicket)?;
    let ticket_key = TicketKey::new(&request.ticket, &ticket.secret);
    let proof = Proof::check(early, &ticket, &ticket_key, group, content.expose())?;
    if identity.is_own(&ticket.subject, &proof.signing_key, &proof.encryption_key) {
        return Err(RefusalReason::KeysInUse(ticket.subject.clone()).into());
    }
    let mut refuse = |code| {
        let form = (ENROL, enrol_sub::REFUSED);
        refusal_frame(
            early,
            e1,
            form,
            code,
            ticket.subject.clone(),
            context.now,
            random,
        )
    };
    let issued = match &ticket.state {
        TicketUse::Withdrawn => return Err(refuse(AlertCode::TicketWithdrawn)),
        TicketUse::NotSigned => {
            let refusal = refuse(AlertCode::TicketWithdrawn);
            let reason = RefusalReason::TicketNotSigned(ticket.subject.clone());
            return Err(Refusal { reason, ..refusal });
        }
        TicketUse::Open if context.now > ticket.expires => {
            return Err(refuse(AlertCode::TicketExpired));
        }
        TicketUse::Open => None,
        TicketUse::Issued(bytes) => match proof.issued_before(bytes, group) {
            Some(certificate) => Some(certificate),
            None => {
                context.registry.freeze(&request.ticket)?;
                let refusal = refuse(AlertCode::TicketUsed);
                let reason = RefusalReason::TicketUsedTwice(ticket.subject.clone());
                return Err(Refusal { reason, ..refusal });
            }
        },
    };
    let certificate = match issued {
        Some(certificate) => certificate,
        None => issue(context, &request.ticket, &ticket, &proof, random)?,
    };
    Ok(second_message(
        early,
        &ticket_key,
        e1,
        &proof,
        certificate,
        random,
    ))
}

/// E1, taken apart.
struct Request<'a> {
    prekey: [u8; 8],
    ticket: TicketId,
    c1: &'a [u8],
    /// The frame to the end of `c1`.
    prefix: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Request<'a> {
    fn decode(e1: &'a Frame, element_len: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(e1.body());
        if reader.u16()? != SUITE {
            return Err(DecodeError);
        }
        let prekey = reader.array()?;
        let ticket = reader.array()?;
        let _time: [u8; 8] = reader.array()?;
        let _nonce: [u8; 32] = reader.array()?;
        let c1 = reader.take(element_len)?;
        let sealed = reader.lp16()?;
        reader.finish()?;
        let prefix_len = e1.as_bytes().len() - 2 - sealed.len();
        let prefix = &e1.as_bytes()[..prefix_len];
        Ok(Self {
            prekey,
            ticket,
            c1,
            prefix,
            sealed,
        })
    }
}

/// The keys a newcomer proved to hold, with a ticket's secret.
struct Proof {
    signing_key: VerifyingKey,
    encryption_key: Element,
}

impl Proof {
    fn check(
        early: &EarlySecret,
        ticket: &KnownTicket,
        ticket_key: &TicketKey,
        group: &Group,
        content: &[u8],
    ) -> Result<Self, Refusal> {
        let mut reader = Reader::new(content);
        let signing_key = reader.take(group.element_len())?;
        let encryption_key = reader.take(group.element_len())?;
        let signature = reader.take(2 * group.element_len())?;
        let mac: Mac = reader.array()?;
        reader.finish()?;
        let proved: [&[u8]; 3] = [early.binding_hash(), signing_key, encryption_key];
        if !ct_eq(&mac, &ticket_key.mac(label::TICKET_P, &proved)) {
            return Err(RefusalReason::WrongTicketProof(ticket.subject.clone()).into());
        }
        let malformed = || Refusal::from(RefusalReason::Unexpected);
        let verifying_key =
            VerifyingKey::from_bytes(group, signing_key).map_err(|_| malformed())?;
        let encryption = Element::from_bytes(group, encryption_key).map_err(|_| malformed())?;
        if signing_key == encryption_key {
            return Err(malformed());
        }
        verifying_key
            .verify(label::SIG_CSR, &proved, signature)
            .map_err(|_| RefusalReason::BadSignature)?;
        Ok(Self {
            signing_key: verifying_key,
            encryption_key: encryption,
        })
    }

    /// The certificate issued before, if it is for these very keys.
    fn issued_before(&self, bytes: &[u8], group: &Group) -> Option<VerifiedCertificate> {
        let certificate = Certificate::decode(bytes, group).ok()?;
        let subject = certificate.subject();
        let same_keys = subject.signing_key == self.signing_key
            && subject.encryption_key.as_ref() == Some(&self.encryption_key);
        if !same_keys {
            return None;
        }
        VerifiedCertificate::known(certificate, &fingerprint(bytes)).ok()
    }
}

fn issue<R: TicketRegistry>(
    context: &Context<'_, R>,
    id: &TicketId,
    ticket: &KnownTicket,
    proof: &Proof,
    random: &mut dyn Random,
) -> Result<VerifiedCertificate, Refusal> {
    let certificate = context.identity.certify(
        &ticket.subject,
        proof.signing_key.clone(),
        proof.encryption_key.clone(),
        context.now,
        random,
    );
    match context.registry.issue(id, &certificate, context.now)? {
        Issued::Now => Ok(certificate),
        Issued::KeysInUse => Err(RefusalReason::KeysInUse(ticket.subject.clone()).into()),
        // Somebody else was faster by a hair: E1 again will tell who.
        Issued::TicketUsed => {
            let reason = "the ticket was used at the same moment".to_owned();
            Err(RefusalReason::Registry(reason).into())
        }
    }
}

fn second_message(
    early: &EarlySecret,
    ticket: &TicketKey,
    e1: &Frame,
    proof: &Proof,
    certificate: VerifiedCertificate,
    random: &mut dyn Random,
) -> (Frame, ExpectConfirmation) {
    let kem = KemSecret::generate(certificate.group(), random);
    let c_e = kem.public().as_bytes();
    let content_len = 2 + certificate.as_bytes().len() + size_of::<Mac>();
    let body_len = c_e.len() + 2 + aes::sealed_len(content_len);
    let header = Frame::header(ENROL, enrol_sub::E2, body_len);
    let bound = kdf::hash(&[e1.as_bytes(), &header, c_e]);
    let key = early.enrolment(&kem.agree(&proof.encryption_key));
    let mac = ticket.mac(label::TICKET_D, &[&bound, &certificate.fingerprint()]);
    let content = Writer::new()
        .lp16(certificate.as_bytes())
        .bytes(&mac)
        .finish();
    let sealed =
        SealingKey::new(key.expand(label::ENROL_2, &[&bound])).seal(0, &[&bound], &content, random);
    let body = Writer::new().bytes(c_e).lp16(&sealed).finish();
    let e2 = Frame::new(ENROL, enrol_sub::E2, &body);
    let messages = kdf::hash(&[e1.as_bytes(), e2.as_bytes()]);
    let check_code = check_code(e1, &e2);
    let enrolled = Enrolled {
        certificate,
        check_code,
    };
    (
        e2,
        ExpectConfirmation {
            key,
            messages,
            enrolled,
        },
    )
}
