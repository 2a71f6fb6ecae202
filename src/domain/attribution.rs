//! Attribution: whose payment it is. Evidence is gathered, ordered and resolved; what resolves to nobody who can earn is
//! skipped and stays in the trace.

use super::Time;
use super::decision::{Click, Code, Lookups};
use super::email::alike;
use super::evidence::{meanings, value_of};
use super::facts::Metadata;
use super::history::{Buyer, History, Payment, Place, Said, What};
use super::lead::{Lead, LeadBy, LeadTo};
use super::missing::Missing;
use super::terms::{
    ByHand, EvidenceKind, MetadataField, Partner, PartnerKey, ProgramKey, ProgramTerms, SelfReferral, Settings, Status,
    Terms, Touch,
};
use super::trace::Trace;

/// Who is credited, under which program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// Who.
    pub partner: PartnerKey,
    /// Under which program.
    pub program: ProgramKey,
    /// By what evidence.
    pub via: Via,
}

/// The evidence by which somebody is credited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// What sort.
    pub kind: EvidenceKind,
    /// The key, click id or code; an e-mail is not repeated.
    pub value: Option<String>,
    /// The link that was clicked, `lnk_…`.
    pub link: Option<String>,
}

/// Why nobody is, and who would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub code: Code,
    /// Who would have been credited.
    pub partner: Option<PartnerKey>,
    /// Under which program.
    pub program: Option<ProgramKey>,
}

impl Refusal {
    fn new(code: Code, partner: Option<&str>) -> Self {
        Self { code, partner: partner.map(str::to_owned), program: None }
    }
}

/// A clue with its meaning, ready to be resolved.
#[derive(Debug, Clone)]
struct Clue {
    kind: EvidenceKind,
    place: Place,
    object: String,
    value: String,
    at: Time,
    own: bool,
    by_hand: Option<ByHand>,
    lead: Option<Lead>,
}

/// A clue that resolved.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Who.
    pub credit: Credit,
    /// When everything that it takes to resolve the clue had been entered; what is entered by hand counts at any time.
    pub known_at: Time,
    /// Whether the payment's own objects say it.
    pub own: bool,
    kind: EvidenceKind,
    strength: usize,
    place: Place,
    touched_at: Time,
    touch: Touch,
    object: String,
    value: String,
}

/// All candidates of a payment, best first, and the refusal that stands if there are none.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// Best first.
    pub list: Vec<Candidate>,
    /// The first skipped clue's reason, or `no_evidence`.
    pub refusal: Refusal,
    /// Promotion codes whose texts are not known and may be a partner's.
    pub missing: Vec<Missing>,
}

impl Candidate {
    /// Whether it was entered by hand: then it takes a customer from an earlier winner.
    pub fn is_by_hand(&self) -> bool {
        self.kind == EvidenceKind::Manual
    }

    /// In words.
    pub fn describe(&self) -> String {
        let clue = clue_words(self.kind, &self.value);
        format!("{clue} on {} {} names partner {}", self.place.as_str(), self.object, self.credit.partner)
    }
}

fn clue_words(kind: EvidenceKind, value: &str) -> String {
    match kind {
        EvidenceKind::Manual => "attribution by hand".to_owned(),
        EvidenceKind::PartnerKey => format!("partner_key {value:?}"),
        EvidenceKind::ClickId => format!("click id {value:?}"),
        EvidenceKind::PromotionCode => format!("promotion code {value:?}"),
        EvidenceKind::CustomerKey => format!("customer_key {value:?}"),
        // An e-mail is personal: a trace is shown to partners.
        EvidenceKind::Email => "the buyer's e-mail".to_owned(),
    }
}

/// What attribution reads besides the payment.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The customer's history.
    pub history: &'a History,
    /// Terms.
    pub terms: &'a Terms,
    /// Clicks, leads and promotion codes.
    pub lookups: &'a Lookups,
}

/// Resolves every clue for `payment`. `buyers` are the buyers that count as one customer when it was paid;
/// `free_payments` are this customer's earlier payments of nothing (trials, 100 % discounts), whose clues still stand.
pub fn candidates(
    context: Context<'_>,
    payment: &Payment,
    buyers: &[&str],
    free_payments: &[&Payment],
    trace: &mut Trace,
) -> Candidates {
    let settings = context.terms.settings.at(payment.paid_at);
    let default = Settings::default();
    let settings = settings.unwrap_or(&default);
    let said = gather(context.history, payment, buyers, free_payments);
    let mut clues = by_hand(context.terms, payment, buyers);
    for said in &said {
        let own = payment.said.binary_search(said).is_ok();
        interpret(context, settings, said, own, &mut clues);
    }
    let wanted_program = wanted_program(&said, settings);
    let mut found = Candidates { list: Vec::new(), refusal: Refusal::new(Code::NoEvidence, None), missing: Vec::new() };
    let mut skipped: Option<(Rank, Refusal)> = None;
    for clue in clues {
        let Some(strength) = settings.evidence_order.iter().position(|kind| *kind == clue.kind) else { continue };
        match resolve(context, payment, &clue, strength, wanted_program.as_deref()) {
            Ok(Some(candidate)) => found.list.push(candidate),
            Ok(None) if is_unknown_code(context, &clue) => found.missing.push(Missing::PromotionCode(clue.value)),
            Ok(None) => trace.say(|| format!("skipped: {} belongs to no partner", clue_words(clue.kind, &clue.value))),
            Err(refusal) => {
                trace.say(|| format!("skipped: {}: {}", clue_words(clue.kind, &clue.value), refusal.code.sentence()));
                let rank = (strength, clue.place, clue.at, clue.object.clone(), clue.value.clone());
                if skipped.as_ref().is_none_or(|(known, _)| rank < *known) {
                    skipped = Some((rank, refusal));
                }
            }
        }
    }
    if let Some((_, refusal)) = skipped {
        found.refusal = refusal;
    }
    sort(&mut found.list);
    found
}

/// Whether a promotion code may be a partner's by its text, which is not known.
fn is_unknown_code(context: Context<'_>, clue: &Clue) -> bool {
    clue.kind == EvidenceKind::PromotionCode
        && clue.value.starts_with("promo_")
        && !context.terms.codes.is_empty()
        && !context.lookups.promotion_codes.contains_key(&clue.value)
}

type Rank = (usize, Place, Time, String, String);

/// Strength, nearness, touch, id. Where programs differ about the touch, the last one comes first.
fn sort(list: &mut [Candidate]) {
    list.sort_by(|a, b| {
        let by_id = || (&a.object, &a.value).cmp(&(&b.object, &b.value));
        rank(a).cmp(&rank(b)).then_with(|| b.touched_at.cmp(&a.touched_at)).then_with(by_id)
    });
    for equals in list.chunk_by_mut(|a, b| rank(a) == rank(b)) {
        if equals.iter().all(|candidate| candidate.touch == Touch::First) {
            equals.sort_by_key(|candidate| candidate.touched_at);
        }
    }
}

fn rank(candidate: &Candidate) -> (usize, Place) {
    (candidate.strength, candidate.place)
}

/// Everything said that may be evidence for the payment.
fn gather<'a>(
    history: &'a History,
    payment: &'a Payment,
    buyers: &[&str],
    free_payments: &[&'a Payment],
) -> Vec<&'a Said> {
    let mut said: Vec<&Said> = payment.said.iter().collect();
    for free in free_payments {
        said.extend(free.said.iter());
    }
    if let Some(subscription) = payment.subscription.as_ref().and_then(|id| history.subscriptions.get(id)) {
        said.extend(subscription.started_by.iter());
        said.extend(subscription.said.iter().filter(|said| said.at <= payment.paid_at));
    }
    for buyer in buyers.iter().filter_map(|buyer| history.buyers.get(*buyer)) {
        said.extend(buyer.said.iter().filter(|said| said.at <= payment.paid_at));
    }
    said.sort_unstable();
    said.dedup();
    said
}

/// The attribution by hand that counts: the last one entered for the payment or, from its date on, for the customer or
/// subscription.
fn by_hand(terms: &Terms, payment: &Payment, buyers: &[&str]) -> Vec<Clue> {
    if terms.by_hand.is_empty() {
        return Vec::new();
    }
    let references = payment.references.iter().map(|id| (Place::Invoice, id.as_str()));
    let subscription = payment.subscription.iter().map(|id| (Place::Subscription, id.as_str()));
    let customers = buyers.iter().map(|id| (Place::Customer, *id));
    let mut clues = Vec::new();
    for (place, id) in references.chain(subscription).chain(customers) {
        let Some(entered) = terms.by_hand.get(id) else { continue };
        let counts = |by_hand: &&ByHand| by_hand.from.is_none_or(|from| from <= payment.paid_at);
        let Some(last) = entered.iter().filter(counts).max_by_key(|by_hand| by_hand.seq) else { continue };
        if let Some(partner) = &last.partner {
            clues.push(Clue {
                kind: EvidenceKind::Manual,
                place,
                object: id.to_owned(),
                value: partner.clone(),
                at: last.from.unwrap_or(last.entered_at),
                own: place == Place::Invoice,
                by_hand: Some(last.clone()),
                lead: None,
            });
        }
    }
    clues
}

/// What a piece of raw evidence may mean; several clues for a `client_reference_id`, none for other metadata.
fn interpret(context: Context<'_>, settings: &Settings, said: &Said, own: bool, clues: &mut Vec<Clue>) {
    let clue = |kind, value: String| Clue {
        kind,
        place: said.place,
        object: said.object.clone(),
        value,
        at: said.at,
        own,
        by_hand: None,
        lead: None,
    };
    let with_lead = |kind, by: LeadBy, value: &str, clues: &mut Vec<Clue>| {
        for lead in context.lookups.leads.get(&(by, value.to_owned())).into_iter().flatten() {
            clues.push(Clue { lead: Some(lead.clone()), ..clue(kind, value.to_owned()) });
        }
    };
    match &said.what {
        What::Metadata(key, value) => {
            let metadata: Metadata = [(key.clone(), value.clone())].into();
            for meaning in meanings(&metadata, settings) {
                match meaning.field {
                    MetadataField::PartnerKey => clues.push(clue(EvidenceKind::PartnerKey, meaning.value)),
                    MetadataField::ClickId => clues.push(clue(EvidenceKind::ClickId, meaning.value)),
                    MetadataField::CustomerKey => {
                        with_lead(EvidenceKind::CustomerKey, LeadBy::CustomerKey, &meaning.value, clues);
                    }
                    MetadataField::ProductKey | MetadataField::ProgramKey => {}
                }
            }
        }
        What::PromotionCode(code) => clues.push(clue(EvidenceKind::PromotionCode, code.trim().to_owned())),
        // Many merchants put ids of their own here: it is evidence only where it names something known.
        What::ClientReference(reference) => {
            let reference = reference.trim();
            if context.terms.partners.contains_key(reference) {
                clues.push(clue(EvidenceKind::PartnerKey, reference.to_owned()));
            }
            if context.lookups.clicks.contains_key(reference) {
                clues.push(clue(EvidenceKind::ClickId, reference.to_owned()));
            }
        }
        What::Email(email) => with_lead(EvidenceKind::Email, LeadBy::Email, email, clues),
    }
}

/// The nearest `program_key`.
fn wanted_program(said: &[&Said], settings: &Settings) -> Option<ProgramKey> {
    let mut found: Option<(Place, Time, String)> = None;
    for said in said {
        let What::Metadata(key, value) = &said.what else { continue };
        let metadata: Metadata = [(key.clone(), value.clone())].into();
        if let Some(value) = value_of(&metadata, MetadataField::ProgramKey, settings) {
            let rank = (said.place, said.at, value);
            if found.as_ref().is_none_or(|known| rank < *known) {
                found = Some(rank);
            }
        }
    }
    found.map(|(_, _, program)| program)
}

/// Who a clue names: a candidate, nobody in particular, or somebody who cannot earn.
fn resolve(
    context: Context<'_>,
    payment: &Payment,
    clue: &Clue,
    strength: usize,
    wanted_program: Option<&str>,
) -> Result<Option<Candidate>, Refusal> {
    let paid_at = payment.paid_at;
    let mut touched_at = clue.at;
    let (mut clicked_at, mut link) = (None, None);
    let (partner, named_program, mut known_at) = match clue.kind {
        EvidenceKind::Manual => {
            let by_hand = clue.by_hand.as_ref();
            (clue.value.clone(), by_hand.and_then(|by_hand| by_hand.program.clone()), Time::MIN_UTC)
        }
        EvidenceKind::PartnerKey => (clue.value.clone(), None, Time::MIN_UTC),
        EvidenceKind::ClickId => {
            let click = click(context, &clue.value)?;
            touched_at = click.clicked_at;
            clicked_at = Some(click.clicked_at);
            link.clone_from(&click.link);
            (click.partner.clone(), click.program.clone(), click.entered_at)
        }
        EvidenceKind::PromotionCode => {
            let Some((owner, entered_at)) = code_owner(context, &clue.value, paid_at) else { return Ok(None) };
            (owner.partner, owner.program, entered_at)
        }
        EvidenceKind::CustomerKey | EvidenceKind::Email => {
            let Some(lead) = &clue.lead else { return Ok(None) };
            if lead.from.is_some_and(|from| from > paid_at) {
                return Ok(None);
            }
            match &lead.to {
                LeadTo::Partner { partner, program } => {
                    touched_at = lead.from.unwrap_or(clue.at);
                    (partner.clone(), program.clone(), lead.entered_at)
                }
                LeadTo::Click(id) => {
                    let click = click(context, id)?;
                    touched_at = click.clicked_at;
                    clicked_at = Some(click.clicked_at);
                    link.clone_from(&click.link);
                    (click.partner.clone(), click.program.clone(), lead.entered_at.max(click.entered_at))
                }
            }
        }
    };
    let named = named_program.as_deref().or(wanted_program);
    let (program, entered_at) = eligible(context.terms, &partner, named, paid_at)?;
    if clue.kind != EvidenceKind::Manual {
        known_at = known_at.max(entered_at);
    }
    let version = context.terms.programs.get(&program).and_then(|program| program.version_at(paid_at));
    let touch = version.map_or(Touch::Last, |version| version.terms.attribution);
    if let (Some(clicked_at), Some(version)) = (clicked_at, version) {
        let age = paid_at.signed_duration_since(clicked_at);
        let window = chrono::TimeDelta::days(i64::from(version.terms.attribution_window_days));
        if age < chrono::TimeDelta::zero() || age > window {
            return Err(Refusal { program: Some(program), ..Refusal::new(Code::OutsideWindow, Some(&partner)) });
        }
    }
    if version.is_some_and(|version| refuses(context, payment, &partner, &version.terms)) {
        return Err(Refusal { program: Some(program), ..Refusal::new(Code::SelfReferral, Some(&partner)) });
    }
    let value = (clue.kind != EvidenceKind::Email).then(|| clue.value.clone());
    Ok(Some(Candidate {
        credit: Credit { partner, program, via: Via { kind: clue.kind, value, link } },
        known_at,
        own: clue.own,
        kind: clue.kind,
        strength,
        place: clue.place,
        touched_at,
        touch,
        object: clue.object.clone(),
        value: clue.value.clone(),
    }))
}

fn click<'a>(context: Context<'a>, id: &str) -> Result<&'a Click, Refusal> {
    context.lookups.clicks.get(id).ok_or_else(|| Refusal::new(Code::ClickUnknown, None))
}

fn code_owner(context: Context<'_>, code: &str, at: Time) -> Option<(super::terms::CodeOwner, Time)> {
    let lower = code.to_lowercase();
    let text = context.lookups.promotion_codes.get(code).map(|text| text.trim().to_lowercase());
    [Some(lower), text].into_iter().flatten().find_map(|key| {
        let dated = context.terms.codes.get(&key)?;
        Some((dated.at(at)?.clone()?, dated.entered_at(at)?))
    })
}

/// The program under which a partner earns for a payment paid at `at`, and when all that was entered.
pub fn eligible(terms: &Terms, partner: &str, named: Option<&str>, at: Time) -> Result<(ProgramKey, Time), Refusal> {
    let known = terms.partners.get(partner).ok_or_else(|| Refusal::new(Code::PartnerUnknown, None))?;
    if !known.is_active(at) {
        return Err(Refusal::new(Code::PartnerInactive, Some(partner)));
    }
    let is_in = |status: &super::terms::Dated<Status>| status.at(at) == Some(&Status::Active);
    let enrollment = match named {
        Some(program) => known.enrollments.iter().find(|(key, _)| key == program),
        None => known.enrollments.iter().find(|(_, status)| is_in(status)),
    };
    let Some((program, status)) = enrollment.filter(|(_, status)| is_in(status)) else {
        return Err(Refusal::new(Code::NotEnrolled, Some(partner)));
    };
    let refused = |code| Refusal { program: Some(program.clone()), ..Refusal::new(code, Some(partner)) };
    let active =
        terms.programs.get(program).is_some_and(|program| !program.versions.is_empty() && program.is_active(at));
    if !active {
        return Err(refused(Code::ProgramInactive));
    }
    let entered_at = known.entered_at.max(status.entered_at(at).unwrap_or(known.entered_at));
    Ok((program.clone(), entered_at))
}

/// Whether a customer's winner may still earn for this payment, which `terms` price.
pub fn may_earn(
    context: Context<'_>,
    payment: &Payment,
    credit: &Credit,
    terms: Option<&ProgramTerms>,
) -> Result<(), Refusal> {
    let at = payment.paid_at;
    let refused = |code| Refusal { code, partner: Some(credit.partner.clone()), program: Some(credit.program.clone()) };
    eligible(context.terms, &credit.partner, Some(&credit.program), at).map_err(|refusal| refused(refusal.code))?;
    if terms.is_some_and(|terms| refuses(context, payment, &credit.partner, terms)) {
        return Err(refused(Code::SelfReferral));
    }
    Ok(())
}

fn refuses(context: Context<'_>, payment: &Payment, partner: &str, terms: &ProgramTerms) -> bool {
    terms.self_referral == SelfReferral::Refuse && is_self_referral(context, payment, partner, terms)
}

/// Whether the buyer looks like the partner, to a program: by the e-mail on the payment's own objects, else by the
/// customer's at the time.
pub fn is_self_referral(context: Context<'_>, payment: &Payment, partner: &str, terms: &ProgramTerms) -> bool {
    let email_of = |partner: &Partner| partner.email.at(payment.paid_at).cloned().flatten();
    let Some(email) = context.terms.partners.get(partner).and_then(email_of) else { return false };
    let is_theirs = |known: &str| alike(known, &email, terms.self_referral_match, context.terms.pseudonyms.as_ref());
    if !payment.emails.is_empty() {
        return payment.emails.iter().any(|known| is_theirs(known));
    }
    let buyer = context.history.buyers.get(&payment.buyer);
    buyer.and_then(|buyer| email_at(buyer, payment.paid_at)).is_some_and(is_theirs)
}

fn email_at(buyer: &Buyer, at: Time) -> Option<&str> {
    let before = buyer.emails.iter().filter(|(since, _)| *since <= at).max_by_key(|(since, _)| *since);
    before.or_else(|| buyer.emails.first()).map(|(_, email)| email.as_str())
}
